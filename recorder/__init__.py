"""The domain: calls, consent, capture, retention, disclosure. Knows no HTTP server and no S3."""

__version__ = "0.1.0"
