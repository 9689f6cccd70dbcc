"""Regular expressions of the goals that `persuade_env.safety.forbidden_goals` refuses, by area.

They ignore case, except where a name has to begin with a capital letter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Area:
    """One area of harm: its patterns, and the reason that an error message gives.

    >>> area = Area("weapons", re.compile("bomb"))
    >>> area.goal.search("to build a bomb") is not None
    True
    """

    reason: str
    goal: re.Pattern[str]
    background: re.Pattern[str] | None = None
    """If given, must match too, in the background or the goal."""


def _area(reason: str, *goal: str, background: str | None = None) -> Area:
    either = re.compile("|".join(f"(?:{pattern})" for pattern in goal), re.IGNORECASE)
    return Area(reason, either, re.compile(background, re.IGNORECASE) if background else None)


_MEDICINE = (
    r"(?:medic(?:ation|ine)s?|tablets|insulin|chemo\w*|antidepressants?|antipsychotics?|"
    r"antibiotics|"
    r"dialysis|radiotherapy|(?:prescri\w+|anti-rejection|heart|epilepsy|hiv) \w+|blood pressure "
    r"pills|"
    r"lithium|blood thinners?|beta blockers?|inhaler|statins|(?:her|his) pills|blood transfusions?)"
)
_DRUGS = (
    r"(?:heroin|cocaine|(?:smoke|sell|buy) crack|crack cocaine|(?:crystal )?meth|ecstasy|mdma|"
    r"fentanyl|"
    r"opioids?|lsd|ketamine|amphetamines?|(?:smoke|sell|buy) (?:some )?weed|cannabis|marijuana|"
    r"hashish|"
    r"as speed|magic mushrooms|steroids|smoke a joint|laughing gas|oxycodone|"
    r"drugs(?!.*(?:prescri|doctor)))"
)
_SECRET = (
    r"(?:passwords?|passcode|pin\b|tan\b|login details|bank login|credentials|"
    r"(?:credit|debit|bank|cash)[- ]card|card (?:number|details)|bank details|security code|"
    r"one-time (?:code|password)|social security number|account number|seed phrase)"
)
_GROUPS = (
    r"(?:immigrants?|migrants|refugees?|foreigners|jews?|jewish \w+|muslims?|blacks|black "
    r"(?:people|"
    r"members|tenants|guests)|gays|lesbians?|homosexuals?|gay \w+|trans \w+|roma|gypsies|asians?|"
    r"arabs?|africans?|christians?|disabled people|women|minorities)"
)
_PERSON = (
    r"(?:(?:step|grand)?(?:mother|father|son|daughter)(?:-in-law)?|(?:brother|sister)(?:-in-law)?|"
    r"wife|husband|child|children|kids?|boy|girl|man|woman|boss|teacher|neighbou?r|guards?|fans|"
    r"partner|girlfriend|boyfriend|ex|judge|police\w*|officer|president|stranger|prisoner|patient|"
    r"rival|opponent|immigrants?|refugees?|dog|cat|horse)"
)
_PARTIES = (
    r"(?-i:Labour|Conservatives?|Tor(?:y|ies)|Greens|Green Party|Democrats?|Democratic Party|"
    r"Republicans?|Republican Party|Liberal (?:Democrats?|Party)|Liberals|(?:Social|Christian) "
    r"Democrats|AfD|CDU|SPD|FDP|BJP|National Rally|Reform UK|(?:[A-Z]\w+ )?(?:Trump|Biden|Obama|"
    r"Clinton|Putin|Macron|Merkel|Scholz|Merz|Starmer|Sunak|Farage|Modi|Erdo[gğ]an|Netanyahu|"
    r"Orb[aá]n|Meloni)|Kamala Harris|(?:Marine )?Le Pen)"
)

AREAS = (
    _area(
        "self-harm or suicide",
        r"\b(?:kill|hang|drown|shoot|hurt|harm|cut|burn|starve)(?:ing)? (?:himself|herself|"
        r"themsel\w+|"
        r"yourself|oneself)\b|\bsuicid|\bself-harm|\bhunger strike|\bfade away\b|\banorexi",
        r"\bend (?:her|his|their|it) (?:own )?(?:life|lives|all)\b|\btak(?:e|ing) (?:her|his|"
        r"their) own "
        r"li[fv]e|\bbetter off dead|\b(?:would|will) miss (?:her|him)\b|\b(?:lethal|deadly|"
        r"fatal) dose",
        r"\boverdose\b|\b(?:whole|entire) (?:bottle|box|packet) of\b.{0,20}\bpills|\b(?:swallow|"
        r"take|"
        r"drink)\w*\b.{0,20}\ball\b.{0,25}\b(?:pills|tablets|antidepressants|painkillers|at "
        r"once)\b",
        r"\bjump(?:ing)? (?:off|from|out of|in front of)\b.{0,20}\b(?:bridge|roof|window|"
        r"building|cliff|"
        r"balcony|train|car|bus)\b|\b(?:walk|drive)\w* into the (?:river|sea|lake)\b|\bwrists\b",
        r"\bstop(?:s)? eating\b|\b(?:throw(?:ing)? up|vomit\w*|purg\w+)\b.{0,20}\b(?:meals?|eating|"
        r"food|weight)\b|\blaxatives\b|\bskip(?:ping)? all meals|\beat nothing\b|\b[1-7]\d\d "
        r"calories\b",
        r"\b(?:hand|arm|finger) (?:over|in|into) (?:the|a) (?:flame|fire|acid)\b|\bdrink "
        r"(?:bleach|acid)",
    ),
    _area(
        "violence",
        r"\b(?:stab|strangle|murder|assassinate|torture|rape|lynch|kidnap|behead)\b|\bhonou?r "
        r"killing",
        r"\b(?:poison|attack|assault|punch|slap|beat(?:ing)? up|shoot|kill|hit|kick|choke|whip|"
        r"thrash|"
        r"hurt|injure|wound|rough up|run over) (?:up )?(?:his|her|their|the|that|an?|another|"
        r"\w+'s) "
        r"(?:new |old |other |own )?(?:\w+'s )?(?:" + _PERSON + r"|tea|food|drink)\b(?!'s)",
        r"\bbeat(?:ing)? (?:him|her|them) up\b|\bbeat(?:ing)? (?:his|her) (?:wife|husband|child|"
        r"son|"
        r"daughter)\b(?! (?:at|in|to))|\boff the road\b|\b(?:hire|pay)\b.{0,20}\b(?:hitman|"
        r"thugs)\b",
        r"\bset (?:\w+ ){0,3}(?:on )?fire to\b|\barson\b|\bburn down\b|\b(?:acid|terror\w*) attack|"
        r"\bteach\w*\b.{0,30}\ba lesson\b.{0,20}\b(?:belt|fists?|stick)\b|\binto (?:a )?marriage\b",
        r"\b(?:smash|vandali[sz]e|wreck|trash|torch)\w*\b.{0,30}\b(?:windows?|car|shop|house|"
        r"synagogue|"
        r"mosque|church|temple|graves?|cemetery)\b",
    ),
    _area(
        "weapons",
        r"\b(?:bomb|explosives?|grenade|molotov|ammunition|silencer|nerve agent|chemical "
        r"weapons?)s?\b",
        r"(?<!glue )(?<!nail )(?<!water )(?<!spray )(?<!starting )(?<!heat )\b(?:guns?|pistols?|"
        r"rifles?|"
        r"shotguns?|firearms?|revolvers?|machetes?|switchblades?|tasers?)\b(?! (?:club|range|"
        r"safe)\b)",
        r"\bcarry knives\b|\bwith a knife\b",
    ),
    _area(
        "hate against a group",
        r"\b"
        + _GROUPS
        + r" (?:are|is) (?:\w+ )?(?:vermin|inferior|subhuman|parasites|animals|sick|"
        r"criminals|a disease|filth|to blame|lazy|stupid|thieves|worth less|perverts)\b",
        r"\b"
        + _GROUPS
        + r"\b.{0,30}\b(?:belong in|should (?:lose|have no|not be allowed|not have)|"
        r"don't deserve|can't be trusted|have no (?:rights|place)|be (?:driven out|expelled))\b",
        r"\b(?:hate|expel|drive out|exclude|refuse|fire|spit at|insult|deport|ban|boycott|get "
        r"rid of|"
        r"evict) (?:all |the |every )?"
        + _GROUPS
        + r"\b|\bnot (?:to )?(?:serve|hire|admit|let in|rent "
        r"to|sell to|employ) (?:\w+ ){0,2}" + _GROUPS + r"\b",
        r"\b(?:against|hatred (?:of|for)) (?:the )?(?:jews?|muslims?|immigrants|refugees|gays|"
        r"blacks|"
        r"foreigners)\b|\bwhite (?:supremac\w+|power)|\bwhites only\b|\bneo-?nazi|\bku klux|"
        r"\bswastika",
        r"\bholocaust\b.{0,30}\b(?:never|hoax|lie|didn't|not happen|exaggerat)|\bethnic cleansing",
    ),
    _area(
        "sexual content with a minor",
        r"\b(?:sex|sexual|nudes?|naked|undress|strip (?:off|naked)|intimate|porn\w*|lingerie|"
        r"topless|"
        r"take (?:her|his) clothes off|go to bed with|bath with)\b|\bsleep with (?:him|her|his|"
        r"an?|the|"
        r"older)\b(?! (?:light|window|door|teddy|dog|cat|lamp))|\bpictures? .{0,15}\bunderwear\b|"
        r"\bmarry\b.{0,20}\bat (?:eleven|twelve|thirteen|fourteen|fifteen|1[0-5])\b",
        background=r"\b(?:a minor|child|schoolgirl|schoolboy|little (?:girl|boy)|pupil|underage|"
        r"(?:[1-9]|1[0-7])[- ]year[- ]old|at (?:eleven|twelve|thirteen|fourteen|fifteen|1[0-5])\b|"
        r"(?:aged? |, )(?:[1-9]|1[0-7])\b(?! (?:euros|minutes)))",
    ),
    _area(
        "sex against somebody's will",
        r"\b(?:sex|sleep with|intimate|nudes?)\b.{0,60}\b(?:said no|against (?:her|his|their) will|"
        r"doesn't want|does not want|drunk\w*|asleep|unconscious)\b|\bsexual favou?rs?\b|"
        r"\bprostitut",
    ),
    _area(
        "fraud or theft of secrets",
        r"\b(?:tell|give(?! up)|read out|reveal|share|hand over|send|disclose|type|enter|name|"
        r"say)\b"
        r".{0,60}\b" + _SECRET,
        r"\bgift cards?\b.{0,40}\bcodes?\b|\b(?:take over|remote(?:ly)? "
        r"control)\b.{0,15}\bcomputer\b",
        r"\b(?:wire|send|transfer|pay|lend|give|deposit)\b.{0,40}\b(?:to (?:a|the) (?:\w+ "
        r")?stranger|unknown "
        r"account|(?:the|a) caller|foreign prince|inheritance|online (?:lover|friend)|"
        r"landlord abroad|never met)\b|\bonline lover\b|\b(?:lend|rent out) his account\b",
        r"\b(?:pyramid|ponzi)\b|\bmoney[- ]laundering|\blaunder (?:money|the)|\bmoney mule|"
        r"\b(?:insurance|tax|benefit|card) fraud|\bphishing|\b(?:fake|false|forged|stolen) "
        r"(?:invoices?|"
        r"claim|charity|passport|id\b|certificate|receipts?|identity|name|papers|documents)",
        r"\b(?:forge|forging|falsify|counterfeit|embezzle|blackmail|extort|defraud|bribe)\b|"
        r"\b(?:made-up|"
        r"fabricated|manipulated|faked?) (?:\w+ )?(?:data|results|evidence|reviews?|documents)\b",
        r"\b(?:loan|contract|credit)\b.{0,20}\bin (?:\w+ ){1,3}\w+'s name\b|\binvoices for work "
        r"that was "
        r"never\b|\bdoubles? (?:her|his|the|their) money\b|\bturn back the mileage\b",
        r"\blog (?:in )?(?:to|into) (?:her|his|\w+'s) (?:\w+'s )?(?:e-?mail|account|bank|phone|"
        r"profile)",
    ),
    _area(
        "fraud under a false name",
        r"\b(?:give|send|transfer|pay|tell|read|install|invest|wire|buy|hand|open|lend|allow|"
        r"let)\b",
        background=r"\b(?:pretend\w* to be (?:from|the|her|his|a)|pos(?:es|ing) as|impersonat\w+|"
        r"under a false name|con (?:man|woman|artist)|scammers?|fraudsters?|swindlers?)\b",
    ),
    _area(
        "crime",
        r"\b(?:burglary|burgle|shoplift\w*|robbery|rob (?:the|a|an)|break into|steal|smuggle|"
        r"getaway)\b",
        r"\b(?:lie|lying|perjur\w+|false (?:testimony|statement))\b.{0,30}\b(?:court|police|"
        r"judge|oath)",
        r"\bdrive\b.{0,60}\b(?:drunk\w*|bottle of wine|after (?:\w+ ){1,3}(?:beers?|shots|"
        r"drinks))\b|"
        r"\b(?:shots|beers|vodka|whisky)\b.{0,15}\bdrive\b",
        r"\b(?:cover up|keep quiet about|hide|stay silent about|withdraw|"
        r"drop)\b.{0,30}\b(?:beatings?|"
        r"abuse|rape|assault|crime|violence)\b",
        r"\b(?:bully|harass|stalk) \w+|\bpassports?\b.{0,30}\b(?:can't|cannot) leave\b",
    ),
    _area(
        "a real election, party or candidate",
        r"\bvot(?:e|ing) (?:for|against) (?:the )?(?-i:[A-Z])(?!.*\b(?:class|choir|club|captain|"
        r"chair|team|"
        r"prize|school|speaker|council of)\b)",
        r"\b(?:vote|ballot|campaign|donate|canvass|rally|support|join|elect|endorse|reject|"
        r"box)\w*\b"
        r".{0,30}\b" + _PARTIES + r"\b",
        r"\b(?:not (?:to )?vote|stay (?:at )?home (?:on|from)|skip)\b.{0,25}\b(?:election|"
        r"candidate|"
        r"polls?\b|the vote|" + _PARTIES + r")",
        r"\b(?:boycott|sabotage|rig|disrupt)\b.{0,30}\b(?:election|ballot)\b|\bother candidate "
        r"wins\b",
    ),
    _area(
        "stopping prescribed medicine or refusing medical care",
        r"\b(?:stop|quit|give up|taper off|halve|come off|drop|skip|discontinue|refuse|throw "
        r"away|miss|"
        r"not (?:to )?take)\b.{0,40}\b" + _MEDICINE + r"\b(?! (?:cabinet|leaflet))",
        r"\b(?:not|never|against|without|skip)\b(?! to (?:wait|skip|put|delay|forget|miss|fear|"
        r"worry))"
        r".{0,30}\b(?:vaccinat\w+|immuni[sz]\w+|(?:flu|polio|measles|tetanus) (?:jab|shot)s?|"
        r"call\w* (?:an "
        r"|the )?(?:ambulance|doctor)|see\w* a doctor|go\w* to (?:the )?hospital)\b",
        r"\brefuse\b.{0,25}\b(?:vaccin\w+|treatment|operation|hospital|therapy|transfusion)|"
        r"\b(?:instead of|rather than) (?:\w+ )?(?:" + _MEDICINE + r"|the doctor|hospital)\b",
        r"\b(?:treat|cure|heal)\w*\b.{0,50}\b(?:with|by) (?:\w+ ){0,2}(?:prayers?|herbs|crystals|"
        r"homeopath\w+|faith|garlic|fasting|oils)\b.{0,30}\b(?:alone|only|doctor|instead|"
        r"hospital)\b",
        r"\b(?:leave|flush)\b.{0,50}\b(?:drugs|medicine|tablets|pills|"
        r"insulin)\b.{0,30}\b(?:drawer|bin|"
        r"toilet|sink)\b",
    ),
    _area(
        "illegal drugs",
        r"\b(?:try|take|buy|sell|deal|snort|inject|carry|smuggle|grow|cook|use|share|"
        r"smoke)\b.{0,35}\b" + _DRUGS + r"\b",
        r"\b(?:smoke|sell|buy) (?:crack|(?:some )?weed|a joint)\b|\bsell\b.{0,20}\b(?:pills|"
        r"painkillers)\b|"
        r"\bget high\b|\bpills? from a stranger\b",
    ),
    _area(
        "gambling money away",
        r"\b(?:savings|house|mortgage|salary|inheritance|pension|wages|rent|rent money|fund|"
        r"rings?)\b"
        r".{0,45}\b(?:casino|bet|betting|gambl\w+|roulette|poker|on red|slot machines?|at the "
        r"tables|on "
        r"(?:a |the |tonight's )?(?:\w+ )?(?:horse|match|race))\b",
        r"\bkeep (?:on )?(?:betting|gambling)\b|\b(?:gamble|bet|stake)\b.{0,30}\b(?:savings|house|"
        r"pension|everything|wages|rent|salary|fund)\b",
    ),
    _area(
        "spying on or controlling a person",
        r"\b(?:tracking app|spyware|hidden camera|keylogger|spy on|gps tracker|stalkerware|"
        r"secretly "
        r"(?:film|record|photograph|follow|track)|(?:put|plant|hide) a (?:bug|microphone|"
        r"camera))\b",
        r"\b(?:read|check|search|go through|hack|open)\b.{0,20}\b(?:wife|husband|partner|boyfriend|"
        r"girlfriend|spouse|her|his)\b(?:'s)? (?:messages|phone|mails?|e-?mails?|letters|chats?|"
        r"diary)",
        r"\b(?:see|track|monitor|check)\w*\b.{0,12}\b(?:where (?:she|he) (?:is|goes)|whom (?:she|"
        r"he) "
        r"(?:wrote|calls|talks|meets))\b",
    ),
    _area(
        "going back to somebody violent",
        r"\b(?:go(?:es|ing)? back|return|stay|move back)\b.{0,30}\b(?:to|with) (?:the |her |his )?"
        r"(?:abus\w+|violent \w+|man who (?:beats|hits))",
    ),
)
"""All refused areas; the first that matches gives the reason."""

AGAINST = re.compile(
    r"\b(?:not|never|stop|quit|avoid|prevent|report|refrain|hand in|delete|remove|turn (?:in|"
    r"down)|hang up|give up|stay away from|leave (?:the )?(?:gang|group)|password manager|seek "
    r"help|"
    r"talk to|helpline|get help|instead of)\b",
    re.IGNORECASE,
)
"""Words before a match that negate it, or ask for help."""

HARM_IN_NOT = frozenset(
    {
        "a real election, party or candidate",
        "hate against a group",
        "stopping prescribed medicine or refusing medical care",
        "self-harm or suicide",
    }
)
"""Reasons for which the "not" or "stop" inside a match is the harm itself."""
