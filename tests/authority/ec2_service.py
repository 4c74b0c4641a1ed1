"""A service as EC2's on loopback, behind `ec2_token` of keystonemiddleware, which has this identity service verify who
signed. To everybody who is let in it gives one region, whose name is the token that it was told.

    ec2_service.py PORT URL

Runs in the environment of `openstack.txt`."""

import sys
from wsgiref.simple_server import make_server

from keystonemiddleware.ec2_token import CONF, EC2Token

ANSWER = "<DescribeRegionsResponse><regionInfo><item><regionName>{}</regionName></item></regionInfo></DescribeRegionsResponse>"


def regions(environment, start):
    body = ANSWER.format(environment["HTTP_X_AUTH_TOKEN"]).encode()
    start("200 OK", [("Content-Type", "text/xml"), ("Content-Length", str(len(body)))])
    return [body]


def main(port, url):
    CONF([], project="ec2-service")
    CONF.set_override("url", url, group="keystone_ec2_token")
    with make_server("127.0.0.1", int(port), EC2Token(regions, {})) as server:
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
