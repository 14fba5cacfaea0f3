"""What all S3 servers of the tests have in common."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.config import Config

from storage.objects_s3 import S3Store


@dataclass(frozen=True)
class Gateway:
    """Where a server answers and whom it lets in."""

    endpoint: str
    access_key: str
    secret_key: str
    region: str = "eu-north-1"  # requests are signed with it: these servers accept any

    @property
    def credentials(self) -> dict[str, str]:
        """What a process needs in its environment to be let in."""
        return {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}

    def store(self, bucket: str, *, endpoint: str | None = None, prefix: str = "some/where") -> S3Store:
        """Our store in a bucket, let in by our credentials."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.credentials.items():
                patch.setenv(name, value)
            return S3Store(bucket, prefix, endpoint_url=endpoint or self.endpoint, region=self.region)

    def client(self) -> Any:
        """A plain boto3 client, to look behind the store's back."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=self.region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required"),
        )

    def bucket(self, *, versioned: bool = False, **options: Any) -> str:
        """The name of a new bucket."""
        name, client = f"recorder-{secrets.token_hex(6)}", self.client()
        client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": self.location}, **options)
        if versioned:
            client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        client.close()
        return name

    @property
    def location(self) -> str:
        return self.region
