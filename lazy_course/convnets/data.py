"""The data sets of the chapter: MNIST-1D and scikit-learn's digits without a network, two larger ones with it."""

import gzip
import tarfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt8
from sklearn.datasets import load_digits, load_sample_images

from lazy_course.convnets import download, mnist1d
from lazy_course.convnets.download import Remote
from lazy_course.models import AnyKey

CLASSES = 10
CROP_PADDING = 4
CIFAR_ROW = 1 + 3 * 32 * 32


class Split(NamedTuple):
    """Training and test inputs, one a row, with their classes 0 to 9."""

    x: Float[np.ndarray, "n ..."]
    y: Int[np.ndarray, " n"]
    x_test: Float[np.ndarray, "q ..."]
    y_test: Int[np.ndarray, " q"]


def load(name: str) -> Split:
    """A data set by name, its inputs at mean 0 and deviation 1 over the training set (CIFAR-10: channel by channel).

    "mnist1d" (4000 and 1000 sequences of 40 numbers) and "digits" (1347 and 450 images 8 x 8 x 1) need no network.
    "fashion_mnist" (28 x 28 x 1) and "cifar10" (32 x 32 x 3) are downloaded at the first use. Raises `ValueError` for
    another name, and as `download.fetch` and `read_cifar10` do.
    """
    if name not in LOADERS:
        raise ValueError(f"data: expected one of {', '.join(LOADERS)}, got {name!r}")
    return LOADERS[name]()


def digits() -> Split:
    """Scikit-learn's digits, every fourth image for testing."""
    bunch = load_digits()
    images, labels = bunch.images[..., None], bunch.target
    testing = np.arange(len(labels)) % 4 == 3
    return standardized(images[~testing], labels[~testing], images[testing], labels[testing], axes=None)


def fashion_mnist(remotes: Sequence[Remote] = download.FASHION_MNIST, into: Path | None = None) -> Split:
    """Fashion-MNIST, from its four files."""
    x, y, x_test, y_test = (read_idx(download.fetch(remote, into)) for remote in remotes)
    return standardized(x[..., None], y, x_test[..., None], y_test, axes=None)


def cifar10(remote: Remote = download.CIFAR10, into: Path | None = None) -> Split:
    """CIFAR-10, from its binary version: nothing in it is executed when it is read."""
    return standardized(*read_cifar10(download.fetch(remote, into)), axes=(0, 1, 2))


LOADERS: dict[str, Callable[[], Split]] = {
    "mnist1d": lambda: Split(*mnist1d.make()),
    "digits": digits,
    "fashion_mnist": fashion_mnist,
    "cifar10": cifar10,
}


def standardized(
    x: np.ndarray, y: np.ndarray, x_test: np.ndarray, y_test: np.ndarray, *, axes: tuple[int, ...] | None
) -> Split:
    """Both sets minus the training set's mean, over its deviation, taken over `axes` (None: all of them)."""
    mean, deviation = x.mean(axis=axes, keepdims=True), x.std(axis=axes, keepdims=True)
    return Split((x - mean) / deviation, y.astype(np.int64), (x_test - mean) / deviation, y_test.astype(np.int64))


def read_idx(path: Path) -> UInt8[np.ndarray, "..."]:
    """The array of bytes in a gzipped IDX file. Raises `ValueError` if it is broken."""
    try:
        with gzip.open(path) as file:
            raw = file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path.name}: expected a whole gzip file, got a broken one ({error}); {_AGAIN}") from error
    rank = raw[3] if len(raw) > 4 and raw[:3] == b"\x00\x00\x08" else 0
    shape = np.frombuffer(raw, ">i4", count=rank, offset=4).tolist() if len(raw) >= 4 + 4 * rank else []
    if not rank or len(raw) != 4 + 4 * rank + int(np.prod(shape)):
        raise ValueError(f"{path.name}: expected an IDX file of bytes, got {len(raw)} bytes that are none; {_AGAIN}")
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape(shape)


_AGAIN = "delete it, so that it is downloaded again"


def read_cifar10(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Images (n, 32, 32, 3) and classes of both parts of the archive. Raises `ValueError` if it is broken."""
    batches = {}
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                if member.name.endswith(".bin") and (file := archive.extractfile(member)) is not None:
                    batches[Path(member.name).stem] = np.frombuffer(file.read(), np.uint8)
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise ValueError(f"{path.name}: expected a whole .tar.gz archive ({error}); {_AGAIN}") from error
    names = [f"data_batch_{i}" for i in range(1, 6)]
    missing = [name for name in [*names, "test_batch"] if name not in batches]
    odd = [name for name, raw in batches.items() if raw.size == 0 or raw.size % CIFAR_ROW]
    if missing or odd:
        raise ValueError(f"{path.name}: batches missing {missing}, batches of a wrong length {odd}; {_AGAIN}")
    parts = [np.concatenate([batches[name] for name in names]), batches["test_batch"]]
    rows = [part.reshape(-1, CIFAR_ROW) for part in parts]
    images = [row[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1) for row in rows]
    return images[0], rows[0][:, 0], images[1], rows[1][:, 0]


def augment(key: AnyKey, x: Float[Array, "n h w c"]) -> Float[Array, "n h w c"]:
    """The standard augmentation: a crop of the image padded by 4 zeros, at a random place, and a random mirror.

    Source: krizhevsky2009learning's images as trained since he2016deep.
    """
    n, h, w, c = x.shape
    padded = jnp.pad(x, ((0, 0), (CROP_PADDING, CROP_PADDING), (CROP_PADDING, CROP_PADDING), (0, 0)))
    key_place, key_mirror = jax.random.split(key)
    places = jax.random.randint(key_place, (n, 2), 0, 2 * CROP_PADDING + 1)
    mirrored = jax.random.bernoulli(key_mirror, shape=(n,))

    def one(image: Array, place: Array, mirror: Array) -> Array:
        part = jax.lax.dynamic_slice(image, (place[0], place[1], 0), (h, w, c))
        return jnp.where(mirror, part[:, ::-1], part)

    return jax.vmap(one)(padded, places, mirrored)


def one_hot(y: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n 10"]:
    """Targets of the square loss: 1 for the class, 0 elsewhere."""
    return np.eye(CLASSES)[y]


# --- images for the spectrum ------------------------------------------------------------------------------


def uniform_pixels(key: AnyKey, n: int, size: int = 32) -> Float[Array, "n size size 3"]:
    """Images of independent pixels, uniform on [0, 1], minus 1/2."""
    return jax.random.uniform(key, (n, size, size, 3)) - 0.5


def photograph_crops(key: AnyKey, n: int, size: int = 32) -> Float[Array, "n size size 3"]:
    """Random crops of scikit-learn's two photographs (a temple and a flower, 427 x 640), at half of their resolution.

    They stand in for natural images where there is no network. Mean 0, deviation 1 over all of them.
    """
    photographs = np.stack([np.asarray(image, dtype=float) for image in load_sample_images().images])
    _, h, w, c = photographs.shape
    halves = photographs[:, : h // 2 * 2, : w // 2 * 2].reshape(2, h // 2, 2, w // 2, 2, c).mean(axis=(2, 4))
    keys = jax.random.split(key, 3)
    which = np.asarray(jax.random.randint(keys[0], (n,), 0, 2))
    top = np.asarray(jax.random.randint(keys[1], (n,), 0, h // 2 - size + 1))
    left = np.asarray(jax.random.randint(keys[2], (n,), 0, w // 2 - size + 1))
    crops = np.stack([halves[p, i : i + size, j : j + size] for p, i, j in zip(which, top, left, strict=True)])
    return jnp.asarray((crops - crops.mean()) / crops.std())


def cifar_images(key: AnyKey, n: int) -> Float[Array, "n 32 32 3"] | None:
    """Random training images of CIFAR-10 if the archive is on this machine, else None."""
    if not download.on_disk(download.CIFAR10):
        return None
    x = cifar10().x
    return jnp.asarray(x[np.asarray(jax.random.choice(key, x.shape[0], (n,), replace=False))])
