"""The lock of an encoder: plain passes share it, a pass with hooks has it alone."""

import threading
import time

from cirdemo.models.turns import Turns

PATIENCE = 60  # seconds, of a machine however busy


def test_plain_passes_run_beside_each_other():
    turns, both = Turns(), threading.Barrier(2)

    def share():
        with turns.shared():
            both.wait(PATIENCE)  # neither gets on without the other

    other = threading.Thread(target=share)
    other.start()
    share()
    other.join(PATIENCE)
    assert not both.broken and not turns.locked()


def test_who_wants_to_be_alone_goes_before_those_who_come_later_to_share():
    turns, order = Turns(), []
    inside, leave = threading.Event(), threading.Event()

    def share(name, entered=None):
        with turns.shared():
            order.append(name)
            if entered is not None:
                entered.set()
                leave.wait(PATIENCE)

    def alone():
        with turns:
            order.append("alone")

    first = threading.Thread(target=share, args=("first", inside))
    first.start()
    assert inside.wait(PATIENCE)
    wanting = threading.Thread(target=alone)
    wanting.start()
    while not turns._waiting:
        time.sleep(0.01)
    later = threading.Thread(target=share, args=("later",))
    later.start()
    assert turns.locked()
    leave.set()
    for thread in (first, wanting, later):
        thread.join(PATIENCE)
    assert order == ["first", "alone", "later"] and not turns.locked()


def test_a_pass_that_fails_lets_go():
    turns = Turns()
    for held in (turns, turns.shared()):
        try:
            with held:
                assert turns.locked()
                raise ValueError
        except ValueError:
            assert not turns.locked()
