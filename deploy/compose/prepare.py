"""Once, before the first start: a certificate authority of our own with two certificates, and the buckets.

`prepare.py FOLDER ENDPOINT BUCKET…`. What is there already stays.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAYS = 3650
CERTIFICATES = {"balancer": ["localhost", "balancer"], "mail": ["mail"]}


def main() -> None:
    folder, endpoint, *buckets = sys.argv[1:]
    make_certificates(Path(folder))
    client = boto3.client("s3", endpoint_url=endpoint, region_name="default")
    for bucket in buckets:
        try:
            client.create_bucket(Bucket=bucket)
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
                raise


def make_certificates(folder: Path) -> None:
    if (folder / "ca.pem").exists():
        return
    key = ec.generate_private_key(ec.SECP256R1())
    name = named("recorder compose")
    authority = builder(name, name, key).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    authority = authority.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    signed = authority.add_extension(usage(signing=True), critical=True).sign(key, hashes.SHA256())
    for kind, hosts in CERTIFICATES.items():
        own = ec.generate_private_key(ec.SECP256R1())
        leaf = builder(named(hosts[0]), name, own)
        leaf = leaf.add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
        leaf = leaf.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        leaf = leaf.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
        leaf = leaf.add_extension(issuer, critical=False).add_extension(usage(signing=False), critical=True)
        written = leaf.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        (folder / f"{kind}.pem").write_bytes(written)
        (folder / f"{kind}.key").write_bytes(
            own.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
    (folder / "ca.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))  # last: then all are there


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    made = made.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
    return made.not_valid_after(now + timedelta(days=DAYS))


def usage(*, signing: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signing,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signing,
        crl_sign=signing,
        encipher_only=False,
        decipher_only=False,
    )


if __name__ == "__main__":
    main()
