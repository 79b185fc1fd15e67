"""Makes foreign_hashes.tsv: password hashes by other implementations than ours.

    python3 -m venv venv
    venv/bin/pip install passlib==1.7.4 argon2-cffi==25.1.0 bcrypt==4.0.1 Django==5.2.8
    venv/bin/python foreign_hashes.py > foreign_hashes.tsv

passlib 1.7.4 asks bcrypt for things that later versions of it no longer have, hence 4.0.1. Salts are
random, so another run makes other lines that say the same.
"""

import warnings
from importlib.metadata import version

warnings.simplefilter("ignore")

import argon2
import bcrypt
import django
from django.conf import settings
from passlib import hash as passlib_hash

settings.configure()
django.setup()
from django.contrib.auth import hashers  # noqa: E402

STAPLE = "correct horse battery"
UMLAUT = "p\u00e4ssw\u00f6rd \u2615 2024"
DECOMPOSED = "pa\u0308ssword decomposed"
LONG = "0123456789" * 8


def line(tool, form, password, text):
    print("\t".join([f"{tool} {version(tool)}", form, password.encode().hex(), text]))


print("# Password hashes by other implementations, one a line. Made by foreign_hashes.py, see there.")
print("# tool and version, form, password in hex of UTF-8, hash")

for prefix in ("2a", "2b", "2y"):
    made = bcrypt.hashpw(STAPLE.encode(), bcrypt.gensalt(5)).decode()
    line("bcrypt", "mcf", STAPLE, made.replace("$2b$", f"${prefix}$"))
line("bcrypt", "mcf", UMLAUT, bcrypt.hashpw(UMLAUT.encode(), bcrypt.gensalt(4)).decode())
line("bcrypt", "mcf", LONG, bcrypt.hashpw(LONG.encode(), bcrypt.gensalt(4)).decode())
line("bcrypt", "mcf", STAPLE, bcrypt.hashpw(STAPLE.encode(), bcrypt.gensalt(12)).decode())
line("bcrypt", "mcf", DECOMPOSED, bcrypt.hashpw(DECOMPOSED.encode(), bcrypt.gensalt(4)).decode())
for ident in ("2a", "2b", "2y"):
    line("passlib", "mcf", STAPLE, passlib_hash.bcrypt.using(rounds=4, ident=ident).hash(STAPLE))

line("passlib", "mcf", STAPLE, passlib_hash.scrypt.hash(STAPLE))
line("passlib", "mcf", UMLAUT, passlib_hash.scrypt.using(rounds=8, block_size=4, parallelism=3).hash(UMLAUT))

for hasher in (passlib_hash.pbkdf2_sha1, passlib_hash.pbkdf2_sha256, passlib_hash.pbkdf2_sha512):
    line("passlib", "mcf", STAPLE, hasher.hash(STAPLE))
    line("passlib", "mcf", UMLAUT, hasher.using(rounds=1000, salt_size=32).hash(UMLAUT))
line("passlib", "mcf", DECOMPOSED, passlib_hash.pbkdf2_sha256.using(rounds=1000).hash(DECOMPOSED))

line("argon2-cffi", "phc", STAPLE, argon2.PasswordHasher().hash(STAPLE))
for kind in (argon2.Type.ID, argon2.Type.I, argon2.Type.D):
    small = argon2.PasswordHasher(time_cost=2, memory_cost=256, parallelism=3, type=kind)
    line("argon2-cffi", "phc", UMLAUT, small.hash(UMLAUT))
    odd = argon2.PasswordHasher(
        time_cost=1, memory_cost=67, parallelism=8, hash_len=64, salt_len=32, type=kind
    )
    line("argon2-cffi", "phc", STAPLE, odd.hash(STAPLE))
    old = argon2.low_level.hash_secret(
        STAPLE.encode(), b"sixteen bytes !!", 2, 64, 1, 24, kind, version=16
    ).decode()
    line("argon2-cffi", "phc", STAPLE, old)
    line("argon2-cffi", "phc", STAPLE, old.replace("$v=16", ""))

for algorithm in ("pbkdf2_sha256", "pbkdf2_sha1", "argon2", "bcrypt", "bcrypt_sha256", "scrypt"):
    try:
        line("django", "django", UMLAUT, hashers.make_password(UMLAUT, hasher=algorithm))
    except ValueError:
        cls = {
            "pbkdf2_sha1": hashers.PBKDF2SHA1PasswordHasher,
            "bcrypt": hashers.BCryptPasswordHasher,
            "bcrypt_sha256": hashers.BCryptSHA256PasswordHasher,
        }[algorithm]()
        line("django", "django", UMLAUT, cls.encode(UMLAUT, cls.salt()))
sha256 = hashers.BCryptSHA256PasswordHasher()
line("django", "django", LONG, sha256.encode(LONG, bcrypt.gensalt(4)))
