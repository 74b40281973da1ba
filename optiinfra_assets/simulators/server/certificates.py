"""Makes a self-signed certificate for a simulated cloud whose real clients refuse to send a credential over plain HTTP."""

from __future__ import annotations

import ipaddress
import os
import ssl
import tempfile
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

LIFETIME: Final = timedelta(days=397)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate for 127.0.0.1, whose private key exists only in `tls`.

    Attributes:
        path: file of the certificate, for clients to trust.
    """

    tls: ssl.SSLContext
    path: Path

    @classmethod
    def make(cls, port: int) -> Certificate:
        """Make a new certificate. For a fixed port the file always has the same name, so that an account connected before still works."""
        certificate, key = _pem()
        folder = _folder()
        path = folder / f"{port or uuid.uuid4().hex}.pem"
        with tempfile.NamedTemporaryFile(dir=folder) as both:
            both.write(key + certificate)
            both.flush()
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(both.name)
        path.write_bytes(certificate)
        return cls(tls, path)

    def remove(self) -> None:
        """Delete the file."""
        self.path.unlink(missing_ok=True)


def _folder() -> Path:
    """Return a folder that no other user may write to: otherwise another user could choose what clients trust."""
    user = os.getuid()
    folder = Path(tempfile.gettempdir()) / f"optiinfra-simulated-{user}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != user or found.st_mode & 0o077 or not folder.is_dir() or folder.is_symlink():
        raise RuntimeError(f"{folder}: must be a folder of this user alone: remove it")
    return folder


def _pem() -> tuple[bytes, bytes]:
    """Return a certificate and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "OptiInfra (simulated)")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM), private
