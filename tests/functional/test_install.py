"""make install: what lands where, with which modes, and that nothing of an administrator's is overwritten."""

import pathlib
import subprocess

from matador import BUILD

TOP = pathlib.Path(__file__).resolve().parents[2]
PLACES = ["prefix=/usr", "exec_prefix=/usr", "sysconfdir=/etc"]


def install(folder, *settings):
    subprocess.run(["make", "-s", "-C", TOP, f"BUILD={BUILD}", "install", f"DESTDIR={folder}", *PLACES, *settings], check=True,
                   stdout=subprocess.DEVNULL)


def test_everything_lands_in_its_place(tmp_path):
    install(tmp_path, "sendmail_links=yes")
    assert (tmp_path / "usr/sbin/matador").stat().st_mode & 0o7777 == 0o755
    assert {path.name for path in (tmp_path / "usr/libexec/matador").iterdir()} >= {"master", "smtpd", "qmgr", "local"}
    for page in ("man5/matador.conf.5", "man5/matador-documents.5", "man5/matador-log.5", "man8/matador.8", "man8/sendmail.8",
                 "man1/mailq.1"):
        assert (tmp_path / "usr/share/man" / page).is_file(), page
    for document in ("README.md", "docs/architecture.md", "docs/reference/domino-semantics.md", "examples/matador.conf"):
        assert (tmp_path / "usr/share/doc/matador" / document).is_file(), document
    assert (tmp_path / "usr/sbin/sendmail").readlink() == pathlib.Path("matador")
    assert (tmp_path / "usr/bin/mailq").is_symlink() and (tmp_path / "usr/bin/newaliases").is_symlink()
    unit = (tmp_path / "usr/lib/systemd/system/matador.service").read_text()
    assert "Type=notify" in unit and "ExecStart=/usr/sbin/matador start --foreground" in unit and "@" not in unit


def test_installing_again_overwrites_nothing_in_etc(tmp_path):
    install(tmp_path, "sendmail_links=no")
    assert not (tmp_path / "usr/sbin/sendmail").exists() and not (tmp_path / "usr/bin").exists()
    ours = tmp_path / "etc/matador/servers.conf"
    ours.write_text("# ours\n")
    install(tmp_path, "sendmail_links=no")
    assert ours.read_text() == "# ours\n"
    assert (tmp_path / "etc/matador/directory/people.conf").is_file()
