"""Writes `tokens.json`: tokens for the tests of the authorizer, made by another implementation (PyJWT 2 and cryptography).

    pip install pyjwt cryptography && python tokens.py > tokens.json

Each run makes new keys. Times are seconds around NOW, the time that the tests' clock shows. What PyJWT refuses to make, the forger's
side, is put together by hand. `verdict` is the slug of the problem that the authorizer answers, or `ok`.
"""

import base64
import hashlib
import hmac
import json

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

NOW = 1_000_000_000
SECRET = "a secret of thirty-two bytes, é!"
assert len(SECRET.encode()) >= 32

rsa_key = rsa.generate_private_key(65537, 2048)
weak_key = rsa.generate_private_key(65537, 1024)
encryption_key = rsa.generate_private_key(65537, 2048)
stranger = rsa.generate_private_key(65537, 2048)
ec_key = ec.generate_private_key(ec.SECP256R1())
large_ec_key = ec.generate_private_key(ec.SECP384R1())


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def jwk(algorithm, key, **more):
    return {**algorithm.to_jwk(key.public_key(), as_dict=True), **more}


def public(jwk):
    return {name: value for name, value in jwk.items() if name != "key_ops"}


KEYS = [
    public(jwk(RSAAlgorithm, rsa_key, kid="rsa-1", alg="RS256", use="sig")),
    public(jwk(RSAAlgorithm, weak_key, kid="rsa-weak", alg="RS256")),
    public(jwk(RSAAlgorithm, encryption_key, kid="rsa-enc", use="enc")),
    public(jwk(RSAAlgorithm, encryption_key, kid="rsa-pss", alg="PS256")),
    {**public(jwk(RSAAlgorithm, encryption_key, kid="rsa-ops")), "key_ops": ["encrypt"]},
    public(jwk(ECAlgorithm, ec_key, kid="ec-1")),
    public(jwk(ECAlgorithm, large_ec_key, kid="ec-large")),
    {"kty": "oct", "kid": "oct-1", "alg": "HS256", "k": b64(b"a symmetric key in the key set, public")},
    {"kty": "EC", "kid": "ec-broken", "crv": "P-256", "x": "AA", "y": "AA"},
    {"kty": "OKP", "kid": "ed-1", "crv": "Ed25519", "x": b64(bytes(32))},
    {"kid": "no-kty"},
    "no object",
]

CLAIMS = {"sub": "anna", "Role": ["data.read"], "exp": NOW + 60, "iss": "https://issuer.example", "aud": "alluvium"}


def claims(**changes):
    merged = {**CLAIMS, **changes}
    return {name: value for name, value in merged.items() if value is not None}


def hs256(claims, key=SECRET, **header):
    return jwt.encode(claims, key, algorithm="HS256", headers=header or None)


def by_hand(header, claims, sign):
    header, claims = (part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, claims))
    signed = b64(header) + "." + b64(claims)
    return signed + "." + b64(sign(signed.encode()))


def mac(key):
    return lambda signed: hmac.new(key, signed, hashlib.sha256).digest()


def with_payload(token, claims):
    header, _, signature = token.split(".")
    return ".".join([header, b64(json.dumps(claims).encode()), signature])


def der(signed):
    from cryptography.hazmat.primitives import hashes

    return ec_key.sign(signed, ec.ECDSA(hashes.SHA256()))


secret = SECRET.encode()
pem = rsa_key.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)
spki = rsa_key.public_key().public_bytes(
    serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
)
good = hs256(claims())
rs256 = jwt.encode(claims(), rsa_key, algorithm="RS256", headers={"kid": "rsa-1"})
es256 = jwt.encode(claims(), ec_key, algorithm="ES256", headers={"kid": "ec-1"})

TOKENS = [
    # What is good.
    ("HS256", good, "ok"),
    ("HS256, a key named that says nothing", hs256(claims(), kid="rsa-1"), "ok"),
    ("RS256", rs256, "ok"),
    ("ES256", es256, "ok"),
    ("ES256 without a key named, of which there is one", jwt.encode(claims(), ec_key, algorithm="ES256"), "ok"),
    ("roles as text", hs256(claims(Role="data.read")), "ok"),
    ("roles as text with spaces", hs256(claims(Role="profile data.read")), "ok"),
    ("roles among others", hs256(claims(Role=["x", "data.read", "data.write"])), "ok"),
    ("the admin role", hs256(claims(Role=["data.admin"])), "ok"),
    ("an audience among others", hs256(claims(aud=["other", "alluvium"])), "ok"),
    ("expired within the leeway", hs256(claims(exp=NOW - 29)), "ok"),
    ("expires at a fraction", hs256(claims(exp=NOW - 29.5)), "ok"),
    ("begins within the leeway", hs256(claims(nbf=NOW + 30)), "ok"),
    ("made in the future", hs256(claims(iat=NOW + 1000)), "ok"),
    ("the longest owner", hs256(claims(sub="x" * 1024)), "ok"),
    ("another type of token", hs256(claims(), typ="at+jwt"), "ok"),
    # Time.
    ("expired past the leeway", hs256(claims(exp=NOW - 30)), "token-expired"),
    ("expired long ago", hs256(claims(exp=-1e300)), "token-expired"),
    ("no expiry", hs256(claims(exp=None)), "wrong-claim"),
    ("expiry as text", by_hand({"alg": "HS256"}, claims(exp=str(NOW + 60)), mac(secret)), "wrong-claim"),
    ("expiry of no number", by_hand({"alg": "HS256"}, b'{"sub":"anna","Role":"data.read","exp":1e999}', mac(secret)), "malformed-token"),
    ("expiry null", by_hand({"alg": "HS256"}, b'{"sub":"anna","Role":"data.read","exp":null}', mac(secret)), "wrong-claim"),
    ("begins past the leeway", hs256(claims(nbf=NOW + 31)), "token-not-yet-valid"),
    ("begins at no number", by_hand({"alg": "HS256"}, claims(nbf="now"), mac(secret)), "wrong-claim"),
    # Who, for whom, what.
    ("another issuer", hs256(claims(iss="https://issuer.example/")), "wrong-claim"),
    ("no issuer", hs256(claims(iss=None)), "wrong-claim"),
    ("several issuers", by_hand({"alg": "HS256"}, claims(iss=["https://issuer.example"]), mac(secret)), "wrong-claim"),
    ("another audience", hs256(claims(aud="alluvium2")), "wrong-claim"),
    ("other audiences", hs256(claims(aud=["a", "b"])), "wrong-claim"),
    ("no audience", hs256(claims(aud=None)), "wrong-claim"),
    ("an empty list of audiences", hs256(claims(aud=[])), "wrong-claim"),
    ("no owner", hs256(claims(sub=None)), "wrong-claim"),
    ("an empty owner", hs256(claims(sub="")), "wrong-claim"),
    ("an owner that is a number", by_hand({"alg": "HS256"}, claims(sub=7), mac(secret)), "wrong-claim"),
    ("an owner that is too long", hs256(claims(sub="x" * 1025)), "wrong-claim"),
    ("no roles", hs256(claims(Role=None)), "wrong-claim"),
    ("roles that are a number", hs256(claims(Role=1)), "wrong-claim"),
    ("roles that hold a number", hs256(claims(Role=["data.read", 1])), "wrong-claim"),
    ("an empty list of roles", hs256(claims(Role=[])), "role-missing"),
    ("another role", hs256(claims(Role="data.write")), "role-missing"),
    ("a role in other letters", hs256(claims(Role="Data.Read")), "role-missing"),
    ("the role under another name", hs256(claims(Role=None, role="data.read")), "wrong-claim"),
    # Signatures and keys.
    ("another secret", hs256(claims(), "another secret, as long as the first one"), "wrong-signature"),
    ("another payload", with_payload(good, claims(sub="bob")), "wrong-signature"),
    ("another payload under RS256", with_payload(rs256, claims(sub="bob")), "wrong-signature"),
    ("another payload under ES256", with_payload(es256, claims(sub="bob")), "wrong-signature"),
    ("no signature", good.rsplit(".", 1)[0] + ".", "wrong-signature"),
    ("a shorter signature", by_hand({"alg": "HS256"}, claims(), lambda signed: mac(secret)(signed)[:-1]), "wrong-signature"),
    ("a signature with bits to spare", good[:-4] + "AA_", "malformed-token"),
    ("no signature under RS256", rs256.rsplit(".", 1)[0] + ".", "wrong-signature"),
    ("no signature under ES256", es256.rsplit(".", 1)[0] + ".", "wrong-signature"),
    ("zeros as an ES256 signature", by_hand({"alg": "ES256", "kid": "ec-1"}, claims(), lambda _: bytes(64)), "wrong-signature"),
    ("an ES256 signature as DER", by_hand({"alg": "ES256", "kid": "ec-1"}, claims(), der), "wrong-signature"),
    ("a stranger's key under a known name", jwt.encode(claims(), stranger, algorithm="RS256", headers={"kid": "rsa-1"}), "wrong-signature"),
    ("a key that nobody published", jwt.encode(claims(), stranger, algorithm="RS256", headers={"kid": "rsa-2"}), "unknown-key"),
    ("RS256 without a key named, of which there are several", jwt.encode(claims(), rsa_key, algorithm="RS256"), "unknown-key"),
    ("a key of 1,024 bits", jwt.encode(claims(), weak_key, algorithm="RS256", headers={"kid": "rsa-weak"}), "wrong-signature"),
    ("a key for encryption", jwt.encode(claims(), encryption_key, algorithm="RS256", headers={"kid": "rsa-enc"}), "unknown-key"),
    ("a key for another algorithm", jwt.encode(claims(), encryption_key, algorithm="RS256", headers={"kid": "rsa-pss"}), "unknown-key"),
    ("a key for other operations", jwt.encode(claims(), encryption_key, algorithm="RS256", headers={"kid": "rsa-ops"}), "unknown-key"),
    ("a broken key", by_hand({"alg": "ES256", "kid": "ec-broken"}, claims(), lambda _: bytes(64)), "unknown-key"),
    # Algorithms that take each other's place.
    ("none", by_hand({"alg": "none"}, claims(), lambda _: b""), "token-algorithm"),
    ("none, with a signature", by_hand({"alg": "none"}, claims(), mac(secret)), "token-algorithm"),
    ("None", by_hand({"alg": "None"}, claims(), lambda _: b""), "token-algorithm"),
    ("no algorithm", by_hand({"typ": "JWT"}, claims(), mac(secret)), "malformed-token"),
    ("an algorithm that is a list", by_hand({"alg": ["HS256"]}, claims(), mac(secret)), "malformed-token"),
    ("two algorithms", b64(b'{"alg":"HS256","alg":"none"}') + "." + good.split(".", 1)[1], "malformed-token"),
    ("hs256", by_hand({"alg": "hs256"}, claims(), mac(secret)), "token-algorithm"),
    ("HS512", jwt.encode(claims(), SECRET * 2, algorithm="HS512"), "token-algorithm"),
    ("PS256", jwt.encode(claims(), rsa_key, algorithm="PS256", headers={"kid": "rsa-1"}), "token-algorithm"),
    ("ES384", jwt.encode(claims(), large_ec_key, algorithm="ES384", headers={"kid": "ec-large"}), "token-algorithm"),
    ("HS256 with the public key as the secret", by_hand({"alg": "HS256", "kid": "rsa-1"}, claims(), mac(pem)), "wrong-signature"),
    ("HS256 with the public key's DER as the secret", by_hand({"alg": "HS256", "kid": "rsa-1"}, claims(), mac(spki)), "wrong-signature"),
    ("HS256 with the symmetric key of the key set", by_hand({"alg": "HS256", "kid": "oct-1"}, claims(), mac(b"a symmetric key in the key set, public")), "wrong-signature"),
    ("RS256 that names the symmetric key", by_hand({"alg": "RS256", "kid": "oct-1"}, claims(), mac(secret)), "unknown-key"),
    ("RS256 that names a key on a curve", jwt.encode(claims(), rsa_key, algorithm="RS256", headers={"kid": "ec-1"}), "unknown-key"),
    ("ES256 that names an RSA key", jwt.encode(claims(), ec_key, algorithm="ES256", headers={"kid": "rsa-1"}), "unknown-key"),
    ("ES256 by the secret", by_hand({"alg": "ES256", "kid": "ec-1"}, claims(), mac(secret)), "wrong-signature"),
    ("a key brought along", jwt.encode(claims(), stranger, algorithm="RS256", headers={"kid": "rsa-2", "jwk": jwk(RSAAlgorithm, stranger)}), "unknown-key"),
    ("an extension that must be understood", by_hand({"alg": "HS256", "crit": ["b64"], "b64": False}, claims(), mac(secret)), "malformed-token"),
    # What is no token.
    ("a header that is a list", by_hand(["HS256", None, None], claims(), mac(secret)), "malformed-token"),
    ("a header that is not UTF-8", by_hand(b'{"alg":"HS256","typ":"\xff"}', claims(), mac(secret)), "malformed-token"),
    ("a payload that is a list", by_hand({"alg": "HS256"}, b"[1]", mac(secret)), "malformed-token"),
    ("a payload that is no JSON", by_hand({"alg": "HS256"}, b"anna", mac(secret)), "malformed-token"),
    ("padding", good + "=", "malformed-token"),
    ("a space at a dot", good.replace(".", ". ", 1), "wrong-signature"),
    ("two parts", good.rsplit(".", 1)[0], "malformed-token"),
    ("four parts", good + ".x", "malformed-token"),
    ("one part", "x", "malformed-token"),
    ("two tokens", good + ", Bearer " + good, "malformed-token"),
    ("dots", "..", "malformed-token"),
    ("too long", hs256(claims(note="x" * 6000)), "token-too-large"),
]

print(
    json.dumps(
        {
            "secret": SECRET,
            "key_set": {"keys": KEYS},
            "tokens": [{"name": name, "verdict": verdict, "token": token} for name, token, verdict in TOKENS],
        },
        indent=1,
        ensure_ascii=False,
    )
)
