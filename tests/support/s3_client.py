"""A client of a local S3 server, with all rights: for fixtures, and for benchmarks."""

from typing import TYPE_CHECKING

import boto3
from botocore.client import Config

from videojob_local.s3 import Storage

if TYPE_CHECKING:  # stubs are for developers only
    from types_boto3_s3 import S3Client


def s3_client(storage: Storage) -> "S3Client":
    """Make a client, which the caller closes."""
    return boto3.client(
        "s3",
        endpoint_url=storage.endpoint,
        aws_access_key_id=storage.access_key_id,
        aws_secret_access_key=storage.secret_access_key,
        region_name=storage.region,
        config=Config(s3={"addressing_style": "path"}, signature_version="s3v4"),
    )
