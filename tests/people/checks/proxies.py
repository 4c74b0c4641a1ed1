"""Apache and nginx as the company's proxy: they ask for the password and say who it was, over a unix socket by
their uid, or by their certificate. Both add their usual forwarding headers."""

import pwd
import subprocess

from parts import Daemon, certificates, expect, get, hashed
from server import Server, answers, free_port

USER = "www-data"

NGINX = """
daemon off;
user www-data;
worker_processes 1;
pid {place}/nginx.pid;
error_log {place}/nginx-error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {place}/nginx-temporary;
    proxy_temp_path {place}/nginx-temporary;
    fastcgi_temp_path {place}/nginx-temporary;
    uwsgi_temp_path {place}/nginx-temporary;
    scgi_temp_path {place}/nginx-temporary;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            auth_basic "the company";
            auth_basic_user_file {place}/passwords;
            include /etc/nginx/proxy_params;
            proxy_set_header X-Remote-User $remote_user;
            proxy_set_header Authorization "";
            {towards}
        }}
    }}
}}
"""

APACHE = """
ServerRoot {place}
ServerName proxy
PidFile {place}/apache.pid
ErrorLog {place}/apache-error.log
Mutex posixsem
Listen 127.0.0.1:{port}
User www-data
Group www-data
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authn_core_module /usr/lib/apache2/modules/mod_authn_core.so
LoadModule authn_file_module /usr/lib/apache2/modules/mod_authn_file.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule authz_user_module /usr/lib/apache2/modules/mod_authz_user.so
LoadModule auth_basic_module /usr/lib/apache2/modules/mod_auth_basic.so
LoadModule headers_module /usr/lib/apache2/modules/mod_headers.so
LoadModule proxy_module /usr/lib/apache2/modules/mod_proxy.so
LoadModule proxy_http_module /usr/lib/apache2/modules/mod_proxy_http.so
<Location "/">
    AuthType Basic
    AuthName "the company"
    AuthUserFile {place}/passwords
    Require valid-user
    RequestHeader set X-Remote-User "expr=%{{REMOTE_USER}}"
    RequestHeader unset Authorization
</Location>
{towards}
"""


def configuration(place, bind, proxy, tls=""):
    (place / "groups").write_text("aws-web: jane\naws-admin: root\n")
    return f"""
[[listener]]
name = "open"
bind = ["127.0.0.1:0"]
apis = ["accounts"]

[[listener]]
name = "proxy"
bind = ["{bind}"]
apis = ["accounts"]
{tls}
[[listener.mount]]
prefix = "/"
authenticate = ["proxy-header"]

[people]
groups-file = "{place}/groups"
proxy-header = {{ name = "X-Remote-User", listener = "proxy", {proxy} }}
"""


def passwords(place):
    (place / "passwords").write_text(f"jane:{hashed('hers')}\n")
    (place / "passwords").chmod(0o644)


def nginx(place, port, towards):
    (place / "nginx.conf").write_text(NGINX.format(place=place, port=port, towards=towards))
    command = ["nginx", "-p", place, "-c", place / "nginx.conf"]
    return Server(command, lambda: answers(("127.0.0.1", port)), place / "nginx.log")


def apache(place, port, towards):
    (place / "apache.conf").write_text(APACHE.format(place=place, port=port, towards=towards))
    command = ["apache2", "-D", "FOREGROUND", "-f", place / "apache.conf"]
    return Server(command, lambda: answers(("127.0.0.1", port)), place / "apache.log")


def says_who_asks(port):
    """What a person sees through the proxy."""
    at = ("127.0.0.1", port)
    expect(get(at, "/account", "jane", "hers"), 200, "jane", ["web"])
    expect(get(at, "/account", "jane", "his"), 401)
    # What a client says of itself the proxy replaces.
    claims = {"X-Remote-User": "root", "X-Forwarded-For": "10.0.0.1", "Forwarded": "for=10.0.0.1"}
    expect(get(at, "/account", "jane", "hers", claims), 200, "jane", ["web"])
    expect(get(at, "/account", "jane", "his", claims), 401)


def as_user(user, socket):
    """The status that a process of this user gets which says it speaks for jane."""
    asked = subprocess.run(
        ["setpriv", "--reuid", user, "--regid", str(pwd.getpwnam(user).pw_gid), "--clear-groups",
         "curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--unix-socket", socket,
         "-H", "X-Remote-User: jane", "http://localhost/account"],
        check=True, capture_output=True, text=True, timeout=30,
    )
    return int(asked.stdout)


def over_unix_socket(place, proxy, towards):
    passwords(place)
    socket, port = place / "api.sock", free_port()
    with Daemon(place, configuration(place, f"unix:{socket}", f'uid = ["{USER}"]')) as daemon:
        socket.chmod(0o666)
        with proxy(place, port, towards.format(socket=socket)):
            says_who_asks(port)
            assert as_user(USER, socket) == 200
            assert as_user("nobody", socket) == 403
            assert as_user("root", socket) == 403
            # Elsewhere nobody is the proxy, whoever it is.
            answer = daemon.get("/account", headers={"X-Remote-User": "jane"})
            expect(answer, 403)


def check_nginx_over_a_unix_socket(place):
    over_unix_socket(place, nginx, "proxy_pass http://unix:{socket}:;")


def check_apache_over_a_unix_socket(place):
    over_unix_socket(place, apache, 'ProxyPass "/" "unix:{socket}|http://localhost/"')


def check_nginx_by_its_certificate(place):
    passwords(place)
    certificates(place, "localhost", "proxy", "other")
    tls = f'tls = {{ certificate = "{place}/localhost.pem", key = "file:{place}/localhost.key", client-ca = "{place}/ca.pem" }}'
    at, port = free_port(), free_port()
    # The proxy's workers gave up root; the key is read before.
    towards = f"""proxy_pass https://127.0.0.1:{at};
            proxy_ssl_certificate {place}/proxy.pem;
            proxy_ssl_certificate_key {place}/proxy.key;
            proxy_ssl_trusted_certificate {place}/ca.pem;
            proxy_ssl_name localhost;
            proxy_ssl_verify on;"""
    with Daemon(place, configuration(place, f"127.0.0.1:{at}", 'subject = ["CN=proxy"]', tls)):
        with nginx(place, port, towards):
            says_who_asks(port)
        for shown, status in (("proxy", 200), ("other", 403), (None, 403)):
            certificate = ("--cert", place / f"{shown}.pem", "--key", place / f"{shown}.key") if shown else ()
            asked = subprocess.run(
                ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", place / "ca.pem", *certificate,
                 "-H", "X-Remote-User: jane", f"https://localhost:{at}/account"],
                check=True, capture_output=True, text=True, timeout=30,
            )
            assert int(asked.stdout) == status, f"{shown}: {asked.stdout}"
