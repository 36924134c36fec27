"""The data sets: MNIST-1D as published, and downloads that are whole and right or refused."""

import gzip
import hashlib
import http.server
import io
import tarfile
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazy_course.convnets import data, download, mnist1d


def test_mnist1d_is_the_published_data_set():
    """Numbers printed by the published generator (mnist1d 0.0.2.post1, default settings, seed 42)."""
    found = mnist1d.make()
    assert found.x.shape == (4000, 40)
    assert found.x_test.shape == (1000, 40)
    first = [-0.33200567, -0.47191037, -0.77869708, -1.00974083, -0.88235257, 0.10393481]
    np.testing.assert_allclose(found.x[0, :6], first, atol=1e-8)
    np.testing.assert_allclose(found.x_test[-1, -4:], [0.44723289, 0.65987565, 0.87773435, 1.19315184], atol=1e-8)
    assert found.y[:20].tolist() == [2, 6, 4, 5, 6, 6, 6, 0, 3, 1, 6, 9, 4, 3, 4, 5, 1, 9, 0, 3]
    assert (found.x**3).sum() == pytest.approx(-10432.009923091373)
    assert mnist1d.make(seed=1, samples=20).x.shape == (16, 40)
    with pytest.raises(ValueError, match="samples: expected a positive multiple of 10"):
        mnist1d.make(samples=15)


def test_digits_are_split_and_standardized():
    found = data.load("digits")
    assert found.x.shape == (1348, 8, 8, 1)
    assert found.x_test.shape == (449, 8, 8, 1)
    assert found.x.mean() == pytest.approx(0, abs=1e-12)
    assert found.x.std() == pytest.approx(1)
    assert np.bincount(found.y_test).min() > 30
    with pytest.raises(ValueError, match="data: expected one of mnist1d, digits"):
        data.load("imagenet")


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves what `files` has; of a file named in `cut` only the first half, though it promises all of it."""

    files: dict[str, bytes] = {}  # noqa: RUF012
    cut: set[str] = set()  # noqa: RUF012

    def do_GET(self):
        name = self.path.strip("/")
        content = self.files.get(name)
        self.send_response(200 if content is not None else 404)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write((content or b"")[: len(content or b"") // 2 if name in self.cut else None])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    Handler.files, Handler.cut = {}, set()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


def remote(server, name, content, *, serve=True):
    if serve:
        Handler.files[name] = content
    return download.Remote(f"{server}/{name}", hashlib.sha256(content).hexdigest(), hashlib.md5(content).hexdigest())


def cifar_archive(rows=7, *, leave_out=()):
    """A small archive in the format of the real one, and its pixels and classes."""
    draw, file = np.random.default_rng(0), io.BytesIO()
    batches = {f"data_batch_{i}": draw.integers(0, 256, (rows, data.CIFAR_ROW), np.uint8) for i in range(1, 6)}
    batches["test_batch"] = draw.integers(0, 256, (rows, data.CIFAR_ROW), np.uint8)
    for part in batches.values():
        part[:, 0] %= 10
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, content in {**batches, "batches.meta.txt": np.zeros(3, np.uint8)}.items():
            if name not in leave_out:
                info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}.bin".replace(".txt.bin", ".txt"))
                info.size = content.nbytes
                archive.addfile(info, io.BytesIO(content.tobytes()))
    return file.getvalue(), batches


def test_cifar10_from_a_server(server, tmp_path):
    content, batches = cifar_archive()
    source = remote(server, "cifar.tar.gz", content)
    found = data.cifar10(source, tmp_path)
    assert found.x.shape == (35, 32, 32, 3)
    assert found.y_test.tolist() == batches["test_batch"][:, 0].tolist()
    # Stored by channels: the pixel (row 2, column 5) of the third channel of an image of the second batch.
    x, _, _, _ = data.read_cifar10(tmp_path / "cifar.tar.gz")
    assert x[8, 2, 5, 2] == batches["data_batch_2"][1, 1 + 2 * 1024 + 2 * 32 + 5]
    np.testing.assert_allclose(found.x.std(axis=(0, 1, 2)), 1.0)
    Handler.files.clear()  # the second time no server is asked
    np.testing.assert_array_equal(data.cifar10(source, tmp_path).x, found.x)


def idx(array):
    head = bytes([0, 0, 8, array.ndim]) + np.asarray(array.shape, ">i4").tobytes()
    return gzip.compress(head + array.tobytes())


def test_fashion_mnist_from_a_server(server, tmp_path):
    draw = np.random.default_rng(1)
    arrays = [draw.integers(0, 10, shape, np.uint8) for shape in ((12, 28, 28), (12,), (5, 28, 28), (5,))]
    remotes = [remote(server, f"part{i}.gz", idx(array)) for i, array in enumerate(arrays)]
    found = data.fashion_mnist(remotes, tmp_path)
    assert found.x_test.shape == (5, 28, 28, 1)
    assert found.y.tolist() == arrays[1].tolist()


def test_no_server(tmp_path):
    source = remote("http://127.0.0.1:1", "x.gz", b"x", serve=False)
    with pytest.raises(ConnectionError, match=r"x\.gz is not in .* Without a network use data 'mnist1d' or 'digits'"):
        download.fetch(source, tmp_path)


def test_a_missing_file(server, tmp_path):
    with pytest.raises(ConnectionError, match="HTTPError"):
        download.fetch(remote(server, "x.gz", b"x", serve=False), tmp_path)


def test_a_wrong_checksum_leaves_nothing(server, tmp_path):
    source = remote(server, "x.gz", b"what was promised")
    Handler.files["x.gz"] = b"something else"
    with pytest.raises(ValueError, match="sent a file whose SHA-256 is not"):
        download.fetch(source, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_broken_connection_leaves_nothing(server, tmp_path):
    source = remote(server, "x.gz", b"y" * 10_000)
    Handler.cut.add("x.gz")
    with pytest.raises((ConnectionError, ValueError), match=r"x\.gz"):
        download.fetch(source, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_half_written_file_is_downloaded_again(server, tmp_path):
    source = remote(server, "x.gz", b"y" * 1000)
    (tmp_path / "x.gz").write_bytes(b"y" * 500)
    assert not download.on_disk(source, tmp_path)
    assert download.fetch(source, tmp_path).read_bytes() == b"y" * 1000
    assert download.on_disk(source, tmp_path)


@pytest.mark.parametrize("damage", ["cut", "batch", "text"])
def test_a_broken_archive_is_refused(tmp_path, damage):
    content, _ = cifar_archive(leave_out=("data_batch_3",) if damage == "batch" else ())
    content = {"cut": content[: len(content) // 2], "batch": content, "text": b"<html>not found</html>"}[damage]
    (tmp_path / "cifar.tar.gz").write_bytes(content)
    with pytest.raises(ValueError, match=r"cifar\.tar\.gz: .*delete it"):
        data.read_cifar10(tmp_path / "cifar.tar.gz")


BROKEN = [b"no gzip", idx(np.zeros((4, 5), np.uint8))[:-9], gzip.compress(b"\x00\x00\x08\x02")]


@pytest.mark.parametrize("content", BROKEN)
def test_a_broken_idx_file_is_refused(tmp_path, content):
    (tmp_path / "x.gz").write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.gz: expected .*delete it"):
        data.read_idx(tmp_path / "x.gz")


def test_the_folder_is_where_the_variable_says(monkeypatch, tmp_path):
    monkeypatch.setenv(download.FOLDER_VARIABLE, str(tmp_path))
    assert download.folder() == tmp_path
    assert data.cifar_images(jax.random.key(0), 3) is None
    monkeypatch.delenv(download.FOLDER_VARIABLE)
    assert "lazy-course" in str(download.folder())


def test_augmentation_crops_and_mirrors():
    """Each image is a crop of itself with zeros around, mirrored or not: its pixels are where one of 162 has them."""
    x = 1.0 + jnp.arange(12 * 8 * 8, dtype=float).reshape(12, 8, 8, 1)
    found = np.asarray(data.augment(jax.random.key(2), x))
    padded, seen = np.pad(np.asarray(x), ((0, 0), (4, 4), (4, 4), (0, 0))), []
    for image, source in zip(found, padded, strict=True):
        crops = [(i, j, m) for i in range(9) for j in range(9) for m in (1, -1)]
        seen += [c for c in crops if np.array_equal(source[c[0] : c[0] + 8, c[1] : c[1] + 8][:, :: c[2]], image)]
    assert len(seen) == 12
    assert {mirror for *_, mirror in seen} == {1, -1}
    assert len({place[:2] for place in seen}) > 3


def test_images_for_the_spectrum():
    flat, crops = data.uniform_pixels(jax.random.key(0), 50), data.photograph_crops(jax.random.key(0), 50)
    assert flat.shape == crops.shape == (50, 32, 32, 3)
    assert float(jnp.mean(flat)) == pytest.approx(0, abs=0.01)

    def neighbours(x):
        return float(jnp.corrcoef(jnp.ravel(x[:, :, 1:]), jnp.ravel(x[:, :, :-1]))[0, 1])

    assert abs(neighbours(flat)) < 0.02
    assert neighbours(crops) > 0.8
