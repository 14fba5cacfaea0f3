"""The consent scripts that come along, as version 1. Changing a word here changes what old consents meant: add instead.

The question is played before the key counts, so that a yes is always informed; period and web address come after it.
"""

from __future__ import annotations

from typing import Any

_PURPOSES = ["quality", "training", "documentation"]

BUILT_IN: dict[str, dict[str, Any]] = {
    "inbound-da": {
        "language": "da",
        "purposes": _PURPOSES,
        "retention_days": 90,
        "texts": {
            "inform": (
                "Velkommen til {brand}. Må vi optage samtalen? Vi bruger optagelsen til kvalitetssikring, oplæring af "
                "medarbejdere og dokumentation af det, vi aftaler. Du kan altid trække dit samtykke tilbage."
            ),
            "choose": "Tryk 1 for ja eller 2 for nej. Du får samme hjælp uanset hvad.",
            "granted": "Tak. Vi optager samtalen og gemmer den i {days} dage.",
            "more": "Læs mere på {site}.",
            "refused": "Helt i orden. Vi optager ikke samtalen.",
        },
    },
    "inbound-en": {
        "language": "en",
        "purposes": _PURPOSES,
        "retention_days": 90,
        "texts": {
            "inform": (
                "Welcome to {brand}. May we record this call? We use the recording for quality, for training our "
                "staff, and to document what we agree. You can withdraw your consent at any time."
            ),
            "choose": "Press 1 for yes or 2 for no. You get the same help either way.",
            "granted": "Thank you. We are recording this call and will keep it for {days} days.",
            "more": "Read more at {site}.",
            "refused": "That's fine. We won't record this call.",
        },
    },
    "outbound-da": {
        "language": "da",
        "purposes": _PURPOSES,
        "retention_days": 90,
        "texts": {
            "ask": (
                "Hej, du taler med {agent} fra {brand}. Må jeg optage samtalen? Vi bruger den til kvalitetssikring, "
                "oplæring og dokumentation af det, vi aftaler, og gemmer den i {days} dage. Du kan altid trække dit "
                "samtykke tilbage, og det er helt i orden at sige nej."
            ),
            "confirm": "Tak, nu optager jeg. Vil du lige bekræfte, at det er i orden?",
            "refused": "Helt i orden, jeg optager ikke.",
            "withdrawn": "Selvfølgelig. Nu er optagelsen stoppet, og den bliver slettet.",
        },
    },
    "outbound-en": {
        "language": "en",
        "purposes": _PURPOSES,
        "retention_days": 90,
        "texts": {
            "ask": (
                "Hi, this is {agent} from {brand}. May I record this call? We use recordings for quality, training "
                "and to document what we agree, and keep them for {days} days. You can withdraw your consent at any "
                "time, and it's fine to say no."
            ),
            "confirm": "Thank you, I'm recording now. Could you just confirm that's okay?",
            "refused": "That's fine, I won't record.",
            "withdrawn": "Of course. I've stopped the recording and it will be deleted.",
        },
    },
}
