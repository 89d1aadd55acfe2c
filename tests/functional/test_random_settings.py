"""
The engine of the inbound controls against a second evaluator (naive_controls.py), over thousands of random settings: the same
verdict, by the same control, with the same reply, and the same lists noted; `make torture` compares all 10,000.
"""

import collections
import os
import subprocess

import pytest

import naive_controls
import random_settings
from matador import BUILD

JUDGE = BUILD / "tests" / "tools" / "judge_sessions"
TORTURE = "MATADOR_TORTURE" in os.environ
PARTS = 4
SETTINGS = 10000 if TORTURE else 1600
SESSIONS = 50 if TORTURE else 16

REFUSING = {"deny connections", "allow connections", "verify host name", "private blacklist", "DNS blacklist",
            "verify sender", "deny senders",
            "allow senders", "relay", "deny recipients", "allow recipients", "verify recipient"}
FILTERS = {"private whitelist", "private blacklist", "DNS whitelist", "DNS blacklist"}
COSTLY_FACTS = {"DNS lists", "sender domain", "directory"}


class Engine:
    """judge_sessions, which asks the project's own parser and controls."""

    def __init__(self, folder):
        self.folder = folder
        self.process = subprocess.Popen([JUDGE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, line):
        self.process.stdin.write(line)
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer.endswith("\n"), f"judge_sessions gave up at {line!r}"
        return answer[:-1].split("\t")

    def read(self, settings):
        random_settings.write(self.folder, settings)
        answer = self.ask(f"settings\t{self.folder}\n")
        assert answer == ["settings"], answer

    def judge(self, settings, session):
        verdict, stage, control, _, reply, hits, asked = self.ask(random_settings.session_line(settings, session))
        assert (verdict == "accepted") == (stage == "")
        return naive_controls.Outcome(stage or None, control or None, reply or None,
                                      [tuple(hit.split("|")) for hit in hits.split(",") if hit],
                                      set(asked.split(",")) - {""})

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(10) == 0


@pytest.fixture
def engine(tmp_path):
    made = Engine(tmp_path / "etc")
    yield made
    made.process.kill()


def told(settings, session, expected, found):
    lines = [f"{key} = {value}" for key, value in random_settings.configuration_keys(settings).items()]
    lines += [f"groups = {settings['groups']}", f"global_domains = {settings['global_domains']}",
              f"session = {session}",
              f"naive:  {expected}", f"engine: {found}"]
    return "\n".join(lines)


@pytest.mark.parametrize("part", range(PARTS))
def test_the_engine_and_the_naive_evaluator_agree(engine, part):
    refused_by, listed_by, accepted = collections.Counter(), collections.Counter(), 0
    for settings, sessions in random_settings.pairs(f"part {part}", SETTINGS // PARTS, SESSIONS):
        engine.read(settings)
        for session in sessions:
            expected = naive_controls.judge(settings, session)
            found = engine.judge(settings, session)
            assert found[:4] == expected[:4], told(settings, session, expected, found)
            assert found.asked & COSTLY_FACTS <= expected.asked, told(settings, session, expected, found)
            refused_by[found.control] += 1
            accepted += found.control is None
            listed_by.update(control for control, _, _ in found.hits)
    engine.close()
    print(f"part {part}: {SETTINGS // PARTS} settings, {refused_by.total()} sessions, {accepted} accepted, "
          f"refused {dict(refused_by.most_common())}, listed {dict(listed_by)}")
    # What never happened was not compared.
    assert set(refused_by) == REFUSING | {None} and set(listed_by) == FILTERS
    assert min(refused_by.values()) >= 5 and min(listed_by.values()) >= 20 and accepted >= refused_by.total() / 10
