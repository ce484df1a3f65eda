"""Ways to make a server talk to a machine that only it can reach."""

# Whatever a name may resolve to. Each is refused where the connection is made.
PRIVATE_ADDRESSES = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.8.8.8",
    "169.254.169.254", "169.254.170.2", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1",
    "192.168.0.1", "192.168.255.255", "198.18.0.1", "198.19.255.255", "198.51.100.7", "203.0.113.9", "224.0.0.1",
    "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1", "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1",
    "2002:7f00:1::", "2002:a9fe:a9fe::1", "3ffe::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1",
    "fec0::1", "ff02::1",
]  # fmt: skip

PUBLIC_ADDRESSES = [
    "1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "126.255.255.255", "128.0.0.1", "172.15.255.255",
    "172.32.0.1", "192.167.255.255", "192.169.0.1", "223.255.255.255", "2606:4700::1111", "2a00:1450:4001::1",
    "2001:4860:4860::8888",
]  # fmt: skip

# What is refused before any name is resolved.
REFUSED_URLS = [
    "http://example.org/x", "ftp://example.org/x", "file:///etc/passwd", "gopher://example.org/x", "//example.org/x",
    "https://127.0.0.1/x", "https://127.1/x", "https://2130706433/x", "https://0x7f000001/x", "https://0x7f.1/x",
    "https://017700000001/x", "https://0177.0.0.1/x", "https://0/x", "https://127.000.000.001/x", "https://10.0.0.1/x",
    "https://169.254.169.254/latest/meta-data/", "https://2852039166/", "https://0xa9fea9fe/", "https://192.168.1.1:8443/",
    "https://[::1]/x", "https://[::]/x", "https://[::ffff:127.0.0.1]/x", "https://[::ffff:7f00:1]/x",
    "https://[0:0:0:0:0:ffff:a9fe:a9fe]/", "https://[64:ff9b::7f00:1]/", "https://[fe80::1%25eth0]/", "https://[fd00::1]/",
    "https://localhost/x", "https://LOCALHOST/x", "https://localhost./x", "https://a.localhost/x", "https://registry/x",
    "https://mongodb.internal/x", "https://printer.local/x", "https://router.lan/x", "https://nas.home.arpa/x",
    "https://user@example.org/x", "https://example.org@127.0.0.1/x", "https://example.org:22/x", "https://example.org:80/x",
    "https://example.org:27017/x", "https://example.org:99999/x", "https://example.org:x/", "https:///x", "https://",
    "https://.example.org/", "https://example.org\\@127.0.0.1/x", "https://example.org/a b", "https://example.org/\r\nX: y",
    "https://\u2460\u2461\u2466.\u24ea.\u24ea.\u2460/", "https://ex\u00e4mple.org/", "https://example.org/#x",
    "https://%31%32%37.0.0.1/", "https://example.org/" + "x" * 500, "javascript:alert(1)", "",
]  # fmt: skip
