"""OME-Zarr in a bucket, from moto's S3 server on loopback."""

import numpy as np
import pytest

moto_server = pytest.importorskip("moto.server")
boto3 = pytest.importorskip("boto3")
pytest.importorskip("s3fs")

from thymusimg.errors import UnreadableError  # noqa: E402
from thymusimg.provenance import sha256_of  # noqa: E402
from thymusimg.remote.address import Address  # noqa: E402
from thymusimg.section.model import Window  # noqa: E402
from thymusimg.section.readers import open_image  # noqa: E402

# botocore and aiobotocore leave a connection to the garbage collector when a server goes away
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture
def bucket(tmp_path, monkeypatch, ome_zarr):
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    endpoint = f"http://127.0.0.1:{port}"
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "AKIATESTONLY",
        "AWS_SECRET_ACCESS_KEY": "s3cret-of-the-test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "*",
        "THYMUSIMG_REMOTE_SECONDS": "5",
        "THYMUSIMG_REMOTE_ATTEMPTS": "2",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("thymusimg.remote.patience.FIRST_WAIT_S", 0.02)
    client = boto3.client("s3", endpoint_url=endpoint)
    client.create_bucket(Bucket="lab")
    folder = ome_zarr(tmp_path / "a.zarr", shards=(1, 128, 128))
    for file in folder.rglob("*"):
        if file.is_file():
            client.upload_file(str(file), "lab", f"mice/a.zarr/{file.relative_to(folder).as_posix()}")
    yield client
    server.stop()


def test_a_bucket(bucket, pixels):
    image = open_image("s3://lab/mice/a.zarr")
    assert image.channel_names == ("CD45", "K14", "K8")
    np.testing.assert_array_equal(image.read(0, 1, Window(30, 290, 5, 200)), pixels[1, 30:290, 5:200])

    first = sha256_of(Address("s3://lab/mice/a.zarr"))
    assert first == sha256_of(Address("s3://lab/mice/a.zarr"))
    body = bucket.get_object(Bucket="lab", Key="mice/a.zarr/0/c/0/0/0")["Body"].read()
    bucket.put_object(Bucket="lab", Key="mice/a.zarr/0/c/0/0/0", Body=body[:-1] + bytes([body[-1] ^ 1]))
    assert sha256_of(Address("s3://lab/mice/a.zarr")) != first

    for missing in ("s3://lab/mice/b.zarr", "s3://other/a.zarr"):
        with pytest.raises(UnreadableError) as told:
            open_image(missing)
        assert missing in str(told.value)
        assert "s3cret" not in str(told.value)
        with pytest.raises(UnreadableError):
            sha256_of(Address(missing))
