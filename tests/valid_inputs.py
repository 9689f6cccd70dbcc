"""Valid inputs of each format, for tests that change them."""

from __future__ import annotations

from typing import Any

from persuade_env.scenarios import load_corpus


def _record() -> Any:
    record = next(record for record in load_corpus() if record.dialogues)
    return record.model_copy(update={"dialogues": record.dialogues[:1]}).model_dump(mode="json")


RECORD = _record()
DAILY = [
    {
        "id": "d-1",
        "scenario": {
            "background": "A garden.",
            "persuader": "Ana",
            "persuadee": "Bo",
            "goal": "persuade Bo to come",
            "tag": ["x"],
            "domain": [{"tag": "x", "domain": ["Leisure"]}],
        },
        "strategy": ["lend a tent"],
        "dialog": {
            "session_1": [
                {
                    "role": "persuader",
                    "analysis": "a",
                    "strategy": "s",
                    "tone": "t",
                    "response": "r",
                },
                {"role": "persuadee", "tone": "wary", "response": "No."},
            ]
        },
    }
]
BELIEF = {"belief": "It rains.", "desire": "a tent", "content": "camping"}
CTOMPERSU = [
    {
        "scenario": {
            "background": "A garden.",
            "persuader": "Ana",
            "persuadee": "Bo",
            "goal": "persuade Bo to come",
            "domain": ["Leisure"],
            "preventive": BELIEF,
            "generative": BELIEF,
        },
        "dialog": ["persuader: Come along.", "persuadee: No."],
    }
]
SOURCES = {"persuade_env": RECORD, "daily_persuasion": DAILY, "ctompersu": CTOMPERSU}
PEOPLE = b"B2,B4,B6,extrovert.x,age.x\nd1,0,0.0,3.0,30\nd1,1,0.5,4.2,50\n"
UNITS = b'Unit,B2,B4\nhello,d1,0\n"no, thanks",d1,1\n'


ANSWER = {
    "choices": [
        {
            "message": {"content": [{"type": "text", "text": "<think>hm</think>Hi."}]},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2},
    "error": None,
}


TEXT_SPECS = (
    "learned=FOLDER@deterministic",
    "population=concerns+learned=F@deterministic@0.25",
    "best-of-4=checkpoint=F@learned=G",
    "http://ann:s3cret@host:8000/v1#model",
)
TABLE = {
    "type": "best-of-n",
    "n": 4,
    "agent": {"type": "checkpoint", "path": "F"},
    "user_model": {"type": "population", "members": ["concerns", "learned=F"], "quantile": 0.25},
}


MEASURES = {
    "user_model": "u",
    "measures": [
        {
            "test": "t",
            "measure": "m",
            "estimate": {"value": 1.0, "low": None, "high": 2.0},
            "n": 3,
            "bar": None,
            "passed": None,
        }
    ],
}
PREFERENCE = {
    "context_id": "a/opening",
    "prompt_ids": [1, 2],
    "chosen_ids": [3],
    "rejected_ids": [4],
    "margin": 0.5,
}
CHECKPOINT = {"role": "user_model", "base": "embedded", "adapters": ["adapter"]}
