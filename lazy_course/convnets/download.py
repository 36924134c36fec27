"""Files from the network, each by its checksum: what is on disk under its name is whole and right, or not there.

The SHA-256 sums are those that public loaders pin: torchvision's prototype data sets for Fashion-MNIST, gomlx and
red-datasets for the binary version of CIFAR-10. Beside them stand the MD5 sums that the authors publish
(www.cs.toronto.edu/~kriz/cifar.html and github.com/zalandoresearch/fashion-mnist).
"""

import os
from pathlib import Path
from typing import NamedTuple

import pooch
import requests

FOLDER_VARIABLE = "LAZY_COURSE_DATA"
PATIENCE = 30.0  # seconds that a server may be silent


class Remote(NamedTuple):
    """A file: where it is, its SHA-256, and the MD5 that its authors publish."""

    url: str
    sha256: str
    md5: str

    @property
    def name(self) -> str:
        """The last part of the address."""
        return self.url.rsplit("/", 1)[-1]


_FASHION = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
CIFAR10 = Remote(
    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    "c32a1d4ab5d03f1284b67883e8d87530",
)
FASHION_MNIST = (
    Remote(
        f"{_FASHION}train-images-idx3-ubyte.gz",
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    ),
    Remote(
        f"{_FASHION}train-labels-idx1-ubyte.gz",
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "25c81989df183df01b3e8a0aad5dffbe",
    ),
    Remote(
        f"{_FASHION}t10k-images-idx3-ubyte.gz",
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "bef4ecab320f06d8554ea6380940ec79",
    ),
    Remote(
        f"{_FASHION}t10k-labels-idx1-ubyte.gz",
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        "bb300cfdad3c16e7a12a480ee83cd310",
    ),
)


def folder() -> Path:
    """Where downloads are kept: the folder in LAZY_COURSE_DATA, else the user's cache folder."""
    chosen = os.environ.get(FOLDER_VARIABLE)
    return Path(chosen) if chosen else Path(pooch.os_cache("lazy-course"))


def fetch(remote: Remote, into: Path | None = None) -> Path:
    """The file on this machine, downloaded at the first time. A file of a wrong checksum is never returned.

    A download goes to a temporary name and is moved in its place when its checksum is right; a file that was damaged
    on disk is downloaded again. Raises `ConnectionError` if the server does not answer or stops in the middle,
    `ValueError` if what it sends has another checksum; both name the file and say what to do.
    """
    into = folder() if into is None else into
    pooch.get_logger().setLevel("WARNING")
    try:
        path = pooch.retrieve(
            remote.url,
            known_hash=f"sha256:{remote.sha256}",
            fname=remote.name,
            path=into,
            downloader=pooch.HTTPDownloader(timeout=PATIENCE),
        )
    except (requests.RequestException, TimeoutError) as error:
        raise ConnectionError(
            f"{remote.name} is not in {into} and {remote.url} does not give it ({type(error).__name__}). Without a "
            "network use data 'mnist1d' or 'digits' (--preset laptop), which need none, or copy the file to that "
            f"folder from a machine that has one (MD5 {remote.md5}); {FOLDER_VARIABLE} names another folder"
        ) from error
    except ValueError as error:
        raise ValueError(
            f"{remote.name}: {remote.url} sent a file whose SHA-256 is not {remote.sha256}; it was thrown away. Try "
            "again later; if it stays so, the file has changed at its source and must not be trusted"
        ) from error
    return Path(path)


def on_disk(remote: Remote, into: Path | None = None) -> bool:
    """Whether the file is there with the right checksum; asks no server."""
    path = (folder() if into is None else into) / remote.name
    return path.exists() and pooch.file_hash(path, alg="sha256") == remote.sha256
