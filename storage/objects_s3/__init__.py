"""Objects in an S3 bucket: AWS, Ceph, and others as far as they do what they are asked."""

from storage.objects_s3.store import S3Store

__all__ = ["S3Store"]
