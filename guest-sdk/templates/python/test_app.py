"""app.py as ordinary functions. bindings/ is made by `thrall recipe build`."""

import sys
import unittest
#? host
from unittest import mock
#? end

sys.path.insert(0, "bindings")

import app
#? host
from componentize_py_types import Err
#? end
from wit_world.imports.types import Envelope, Field, Situation, Tier, Verdict
#? host
from wit_world.imports.types import HostError_Denied
#? end


def mail(body):
    fields = [Field("from_node", "aa"), Field("body_text", body)]
    return Envelope("m1", "on_mail", "test", None, 0, 0, fields)


SITUATION = Situation(0, 0, Tier.UNKNOWN, [], [], '{"config": {}, "stage": {}}')
#? host


def denied(*_):
    raise Err(HostError_Denied("imports = [...]"))


#? breaker-read
@mock.patch("app.breaker_read.state", denied)
#? cockpit-read
@mock.patch("app.cockpit_read.get", denied)
#? context-read
@mock.patch("app.context_read.flag", denied)
#? journal-read
@mock.patch("app.journal_read.count", denied)
#? log
@mock.patch("app.log.write", lambda *_: None)
#? model
@mock.patch("app.model.classify", denied)
#? end
class WithoutAnyGrant(unittest.TestCase):
    #? filter
    def test_an_empty_message_is_skipped_and_another_passes(self):
        decide = app.WitWorld().decide
        self.assertIsInstance(decide(mail(" "), SITUATION), app.wit_world.Decision_Skip)
        self.assertIsInstance(decide(mail("hello"), SITUATION), app.wit_world.Decision_Pass)
    #? hotwire
    def test_a_newsletter_is_dropped_and_another_message_is_left_alone(self):
        evaluate = app.WitWorld().evaluate
        self.assertEqual(evaluate(mail("Unsubscribe here"), SITUATION).action, "drop")
        self.assertIsNone(evaluate(mail("hello"), SITUATION))
    #? action
    def test_the_message_is_collected_with_the_reason(self):
        verdict = Verdict("collect", "because", None, [])
        [operation] = app.WitWorld().plan(mail("hello"), SITUATION, verdict)
        self.assertEqual(operation.value.note, "because: hello")
    #? end


if __name__ == "__main__":
    unittest.main()
