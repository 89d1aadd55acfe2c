"""SPF verdicts of the real policy process: the RFC 7208 suite, and row 137 of docs/reference/hostile-inputs.md."""

import importlib.util
import json
import os
import pathlib
import random
import re
import signal

import pytest

import name_servers
import spf_peers
import spf_suite
from matador import SANITIZED, children_of, no_worker_died, program_of, running, wait_for

AS_ROOT = os.getuid() == 0


def stand_in(instance, folder, *roles):
    """Puts spf_peers.py in the place of these programs."""
    program = pathlib.Path(spf_peers.__file__).resolve()
    instance.wrap_program(roles[0], "", folder)
    for role in roles:
        wrapper = folder / "programs" / role
        if not (folder / "programs" / f"{role}.real").exists():
            wrapper.rename(folder / "programs" / f"{role}.real")
        wrapper.write_text(f'#!/bin/sh\nexec /usr/bin/python3 -B "{program}" {role} "{folder}" "$@"\n')
        wrapper.chmod(0o755)


def ask_policy(instance, folder, scenarios, roles=("resolver", "smtpd"), seconds=60):
    """The answers of policy to the questions of all scenarios, in their order."""
    (folder / "scenarios.json").write_text(json.dumps(scenarios))
    stand_in(instance, folder, *roles)
    instance.matador["smtpd_processes"] = 1
    instance.start()
    answers = folder / "answers.json"
    wait_for(answers.exists, seconds, "every verdict")
    return json.loads(answers.read_text())


# ---- the suite ----

needs_suite = pytest.mark.skipif(not spf_suite.SUITE.exists() or importlib.util.find_spec("yaml") is None,
                                 reason=f"THE RFC 7208 SUITE IS NOT RUN: {spf_suite.SUITE} or yaml is missing (Debian packages: "
                                        "python3-spf, python3-yaml)")


@needs_suite
def test_all_203_cases_of_the_rfc_7208_suite_have_the_verdict_and_explanation_of_the_rfc(one_instance, tmp_path):
    suite = spf_suite.load()
    cases = [case for scenario in suite for case in scenario["tests"].values()]
    names = [name for scenario in suite for name in scenario["tests"]]
    assert len(cases) >= 203
    scenarios = [{"zone": scenario["zonedata"],
                  "questions": [[case["host"], case["helo"], case["mailfrom"]] for case in scenario["tests"].values()]}
                 for scenario in suite]
    answers = ask_policy(one_instance, tmp_path, scenarios)
    wrong = [(name, case["result"], case.get("explanation"), mail, text)
             for name, case, (_, mail, text) in zip(names, cases, answers) if not spf_suite.is_right(case, mail, text)]
    assert not wrong, f"{len(wrong)} of {len(cases)}: {wrong}"
    assert "evaluator-died" not in one_instance.log()
    no_worker_died(one_instance)


# ---- row 137 ----

CLIENT, CLIENT6 = "192.0.2.10", "2001:db8::cb01"
LETTERS = "slodiphvSLODIPHV"
DELIMITERS = ".-+,/_="


def txt(text):
    return [{"TXT": text}]


def hostile_scenarios():
    """Name, zone, questions, and what is right: a verdict, or a function of verdict and text."""
    made = []

    def add(name, zone, right, sender="user@a.test", client=CLIENT, helo="mail.a.test"):
        made.append((name, zone, [client, helo, sender], right))

    addresses = {f"h{number}.test": [{"A": "198.51.100.7"}] for number in range(20)}
    for count, right in ((10, "softfail"), (11, "permerror")):
        terms = " ".join(f"a:h{number}.test" for number in range(count))
        add(f"{count} terms that ask", {"a.test": txt(f"v=spf1 {terms} ~all"), **addresses}, right)
    for count, right in ((2, "softfail"), (3, "permerror")):
        terms = " ".join(f"exists:nothing{number}.test" for number in range(count))
        add(f"{count} terms that find nothing", {"a.test": txt(f"v=spf1 {terms} ~all")}, right)
    for count, right in ((10, "softfail"), (11, "permerror")):
        hosts = [{"MX": [number, f"h{number}.test"]} for number in range(count)]
        add(f"{count} hosts of an mx", {"a.test": [*txt("v=spf1 mx ~all"), *hosts], **addresses}, right)
    add("an include of itself", {"a.test": txt("v=spf1 include:a.test -all")}, "permerror")
    add("includes in a circle", {"a.test": txt("v=spf1 include:b.test -all"), "b.test": txt("v=spf1 include:a.test -all")},
        "permerror")
    add("redirects in a circle", {"a.test": txt("v=spf1 redirect=b.test"), "b.test": txt("v=spf1 redirect=A.test")}, "permerror")
    add("a redirect to a longer name of itself, for ever", {"a.test": txt("v=spf1 redirect=%{d}"), }, "permerror")
    for letter in LETTERS:
        for transformers in ("", "1", "2", "128", "4294967297", "r", "1r", "2R", *DELIMITERS, "3r" + DELIMITERS):
            add(f"%{{{letter}{transformers}}}", {"a.test": txt(f"v=spf1 exists:%{{{letter}{transformers}}}.b.test -all exp=x.test"),
                                                 "x.test": txt(f"[%{{{letter}{transformers}}}%{{c}}%{{t}}%{{r}}]")},
                lambda verdict, text: verdict == "fail" and text[0] == "[" and text[-1] == "]",
                sender="a-b+c,d_e=f.g/h@a.test", client=CLIENT6 if transformers else CLIENT)
    for malformed in ("%{l0}", "%{q}", "%{", "%{}", "%{l", "%{lr", "%{l.r}", "%{l|}", "%{l}%", "%", "%{c}", "%{t}", "%{r}", "%{ l}"):
        add(f"malformed: {malformed}", {"a.test": txt(f"v=spf1 exists:{malformed}.b.test -all")}, "permerror")
    for octet in (1, 9, 10, 13, 127, 128, 160, 255):
        add(f"octet {octet} in the record", {"a.test": txt(f"v=spf1 a:x{chr(octet)}.test -all")}, "permerror")
        add(f"octet {octet} in the explanation", {"a.test": txt("v=spf1 -all exp=x.test"), "x.test": txt(f"no{chr(octet)}250 ok")},
            lambda verdict, text: (verdict, text) == ("fail", ""))
        add(f"octet {octet} in a name that a macro makes", {"a.test": txt("v=spf1 exists:%{l}.b.test -all"),
                                                           "b.test": txt("none")}, "fail", sender=f"x{chr(octet)}y@a.test")
    add("4 KB of networks, the last one right",
        {"a.test": txt("v=spf1 " + "ip4:198.51.100.1 ip6:2001:db8:ffff:ffff::1/64 " * 85 + f"?ip4:{CLIENT} -all")}, "neutral")
    add("4 KB of one term", {"a.test": txt("v=spf1 a:" + "x" * 4096 + ".test -all")}, "fail")
    add("4 KB of a name in many labels", {"a.test": txt("v=spf1 exists:" + "x." * 2048 + "test -all")}, "fail")
    add("4 KB of macros", {"a.test": txt("v=spf1 exists:" + "%{S}" * 1024 + ".test -all")}, "fail", sender="&" * 500 + "@a.test")
    add("4 KB of explanation", {"a.test": txt("v=spf1 -all exp=x.test"), "x.test": txt("why " * 1024)},
        lambda verdict, text: verdict == "fail" and 300 < len(text) <= 400 and text.startswith("why why"))
    add("an explanation that grows", {"a.test": txt("v=spf1 -all exp=x.test"), "x.test": txt("%{S}" * 3500)},
        lambda verdict, text: verdict == "fail" and len(text) <= 400, sender="&" * 900 + "@a.test")
    add("64 KB of records", {"a.test": [*txt("v=spf1 -all"), *[{"TXT": chr(97 + number % 26) * 250} for number in range(256)]]}, "fail")
    add("a record of 14 KB", {"a.test": txt("v=spf1 " + "?exists:x.test " * 900 + "-all"), "x.test": [{"A": "127.0.0.2"}]}, "neutral")
    pointers = [{"PTR": f"p{number}.elsewhere.test"} for number in range(1000)]
    reverse = "10.2.0.192.in-addr.arpa"
    add("1000 names of the client, none right", {"a.test": txt("v=spf1 ptr ~all"), reverse: pointers}, "softfail")
    add("1000 names of the client, the tenth right",
        {"a.test": txt("v=spf1 ptr -all"), "h.a.test": [{"A": CLIENT}], reverse: [*pointers[:9], {"PTR": "h.a.test"}, *pointers]}, "pass")
    add("1000 names of the client, the eleventh right",
        {"a.test": txt("v=spf1 ptr -all"), "h.a.test": [{"A": CLIENT}], reverse: [*pointers[:10], {"PTR": "h.a.test"}, *pointers]}, "fail")
    add("no answer about the client's names", {"a.test": txt("v=spf1 ptr -all"), reverse: ["TIMEOUT"]}, "fail")
    add("a client on loopback passes no more than others", {"a.test": txt("v=spf1 -all")}, "fail", client="127.0.0.1")
    noise = random.Random(7208)
    for number in range(60):
        text = "v=spf1 " + "".join(noise.choice(" :/=%{}+-?~.ampxriclude0123456789,_|\x00\xff") for _ in range(noise.randrange(200)))
        add(f"noise {number}", {"a.test": txt(text)}, lambda verdict, text: verdict in spf_suite.VERDICTS, sender="%{l}%n@a.test")
    return made


def test_row_137_hostile_records_have_the_verdict_of_the_rfc_and_no_evaluator_dies(one_instance, tmp_path):
    made = hostile_scenarios()
    answers = ask_policy(one_instance, tmp_path, [{"zone": zone, "questions": [question]} for _, zone, question, _ in made])
    wrong = [(name, mail, text) for (name, _, _, right), (_, mail, text) in zip(made, answers)
             if not (right(mail, text) if callable(right) else mail == right)]
    assert not wrong, wrong
    assert all(re.fullmatch(r"[ -~]{0,400}", text) for _, _, text in answers)
    assert "evaluator-died" not in one_instance.log()
    no_worker_died(one_instance)


def test_row_137_a_dns_that_is_silent_costs_the_verdict_at_the_time_limit_and_no_other(one_instance, tmp_path):
    one_instance.configuration["spf_timeout"] = "2s"
    silent = {"a.test": ["SILENCE"], "b.test": txt("v=spf1 a:a.test -all"), "c.test": txt("v=spf1 -all"),
              "d.test": txt("v=spf1 -all exp=a.test")}
    answers = ask_policy(one_instance, tmp_path, [{"zone": silent, "questions": [
        [CLIENT, "mail.c.test", "user@a.test"], [CLIENT, "b.test", "user@c.test"], [CLIENT, "c.test", "user@c.test"],
        [CLIENT, "d.test", ""]]}])
    assert [answer[:2] for answer in answers] == [["none", "temperror"], ["temperror", "fail"], ["fail", "fail"], ["fail", "fail"]]
    assert "does not answer about a.test" in answers[0][2]
    no_worker_died(one_instance)


# ---- the evaluator ----

def evaluators(instance, name="evaluator"):
    return [pid for pid in children_of(instance.worker("policy")) if program_of(pid) == name]


@pytest.mark.skipif(not AS_ROOT, reason="only root can look into processes that forbid tracing")
def test_the_evaluator_has_one_pair_of_sockets_no_other_system_calls_and_no_processes(service):
    pid = wait_for(lambda: evaluators(service), what="an evaluator")[0]
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    assert re.search(r"^NoNewPrivs:\s*1$", status, re.M)
    if not SANITIZED:
        assert re.search(r"^Seccomp:\s*2$", status, re.M)
        assert os.listdir(f"/proc/{pid}/fd") == ["0"]
    assert os.readlink(f"/proc/{pid}/fd/0").startswith("socket:")
    template, = evaluators(service, "eval-template")
    if not SANITIZED:
        assert os.listdir(f"/proc/{template}/fd") == ["0"]
    limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
    for name in ("Max processes", "Max file size", "Max core file size"):
        assert re.search(rf"^{name}\s+0\s+0\s", limits, re.M), name


def test_an_evaluator_that_is_killed_is_replaced_and_ends_with_policy(one_instance):
    one_instance.start()
    policy = one_instance.worker("policy")
    first, = wait_for(lambda: evaluators(one_instance), what="an evaluator")
    os.kill(first, signal.SIGKILL)
    one_instance.wait_log(r"evaluator-died reason=\"?it ended by signal 9")
    assert running(policy)
    os.kill(policy, signal.SIGKILL)
    wait_for(lambda: not any(running(pid) for pid in children_of(policy)), what="the end of policy's child")


# ---- through a session, with a real name server ----

def spf_zones(zones):
    """Domains that say something about 127.0.0.1, our client."""
    zones.domain("pass.test", '@ TXT "v=spf1 ip4:127.0." "0.0/8 -all"', '@ TXT "something else"')
    zones.domain("fail.test", '@ TXT "v=spf1 a mx include:other.test -all exp=why.%{d}"', "@ MX 5 mail", "mail A 198.51.100.1",
                 'why TXT "%{c} may not send for %{o}"')
    zones.domain("other.test", '@ TXT "v=spf1 exists:%{ir}.%{l}.users.other.test -all"', "1.0.0.127.known.users A 127.0.0.2",
                 r"1.0.0.127.\034a\032b\034.users A 127.0.0.2")
    zones.domain("broken.test", '@ TXT "v=spf1 a:%{d0} -all"')
    zones.domain("hello.test", '@ TXT "v=spf1 ~all"')
    return zones.start()


def spf_instance(instance, zones):
    """Not started: the local port is the only route, and every error of SPF is refused."""
    name_servers.route_by_dns(instance, spf_zones(zones))
    instance.configuration.update({"spf_check": "enabled", "spf_fail_action": "log_and_reject",
                                   "spf_permerror_action": "log_and_reject"})
    return instance


def test_a_session_has_the_verdicts_of_real_zones(one_instance, zones):
    service = spf_instance(one_instance, zones).start()
    expected = {"user@pass.test": "pass", "known@fail.test": "pass", '"a b"@fail.test': "pass", "user@fail.test": "fail",
                "user@nothing.test": "none", "user@broken.test": "permerror", "user@hello.test": "softfail", "": "softfail"}
    for sender, verdict in expected.items():
        with service.connect() as client:
            client.command("EHLO hello.test")
            reply = client.command(f"MAIL FROM:<{sender}>")
            if verdict == "fail":
                assert reply.startswith("550 5.7.23 ") and reply.endswith(" 127.0.0.1 may not send for fail.test"), reply
            elif verdict == "permerror":
                assert reply.startswith("550 5.7.24 ") and "a:%{d0}" in reply, reply
            else:
                assert reply.startswith("250"), (sender, reply)
    service.wait_log(r"(?s)(spf-verdict.*){8}")
    results = re.findall(r"spf-verdict .* helo_result=(\S+) mail_result=(\S+)", service.log())
    assert sorted(results) == sorted(("softfail", verdict) for verdict in expected.values())
    no_worker_died(service)
