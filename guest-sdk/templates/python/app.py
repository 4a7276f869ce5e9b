#? filter
"""Recipe __NAME__: a filter, which decides whether an event goes on."""
#? hotwire
"""Recipe __NAME__: a hotwire, which reaches a verdict or leaves the event to the
next evaluator."""
#? action
"""Recipe __NAME__: an action, which turns a verdict into a plan. Nothing here acts:
the host holds each operation against the grant, then performs it."""
#? end

import wit_world
#? host
from componentize_py_types import Err
#? breaker-read
from wit_world.imports import breaker_read
#? cockpit-read
from wit_world.imports import cockpit_read
#? context-read
from wit_world.imports import context_read
#? journal-read
from wit_world.imports import journal_read
#? log
from wit_world.imports import log
#? model
from wit_world.imports import model
#? action
from wit_world.imports.operations import CompileOp, Operation_Compile, Operation_Log
#? hotwire
from wit_world.imports.types import Verdict
#? journal-read

DAY_MS = 24 * 60 * 60 * 1000
#? end


def field(envelope, name):
    """The value of a field; an empty text if the event has no such field."""
    return next((one.value for one in envelope.fields if one.name == name), "")


class WitWorld(wit_world.WitWorld):
    """The host calls this class; componentize-py wants this name."""

    #? filter
    def decide(self, envelope, situation):
        if not field(envelope, "body_text").strip():
            return wit_world.Decision_Skip("nothing is written in it")
        reason = asked(envelope, situation)
        if reason:
            return wit_world.Decision_Skip(reason)
        return wit_world.Decision_Pass()
    #? hotwire
    def evaluate(self, envelope, situation):
        # The action has to be one that __NAME__.toml declares (log and drop always
        # are); the reason is what a person reads in the journal. None leaves the
        # event to the next evaluator.
        if "unsubscribe" in field(envelope, "body_text").lower():
            return Verdict("drop", "a newsletter: it says how to unsubscribe", None, [])
        reason = asked(envelope, situation)
        if reason:
            return Verdict("log", reason, None, [])
        return None
    #? action
    def plan(self, envelope, situation, verdict):
        reason = asked(envelope, situation)
        if reason:
            return [Operation_Log(reason)]
        note = f"{verdict.reason}: {field(envelope, 'body_text')}"
        # A threshold or keywords would wake the agent, and need the grant for it.
        return [Operation_Compile(CompileOp("__NAME__", note, 0, []))]
    #? end


def asked(envelope, situation):
    """What the host's answers say against this event; an empty text if nothing."""
    #? host
    try:
        #? breaker-read
        breaker = breaker_read.state("__NAME__")
        if breaker:
            return f"stopped: {breaker.reason}"
        #? context-read
        if context_read.flag("quiet") == "on":
            return "the flag `quiet` is on"
        #? journal-read
        since = max(0, situation.now - DAY_MS)
        sender = field(envelope, "from_node")
        if journal_read.count(journal_read.Query(None, sender, None, None, since, 200)) >= 20:
            return "twenty events of this sender in a day"
        #? cockpit-read
        if '"draining"' in cockpit_read.get("status", "{}"):
            return "the node is about to stop"
        #? model
        # The label set of a prompt has the prompt's name.
        answer = model.classify("triage", "triage", field(envelope, "body_text"))
        if answer.best == "spam" and not answer.abstained:
            return "spam, says the model"
        #? log
        log.write(log.Level.DEBUG, "nothing speaks against it")
        #? host
    except Err as refusal:
        # Not granted, budget spent, not available: go on without the answer.
        print(f"not answered: {refusal.value}")
    #? end
    return ""
