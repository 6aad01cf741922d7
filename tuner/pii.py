"""Mask personal data in generated texts: e-mail addresses, public IP addresses, phone and payment card numbers.

A model repeats what it was trained on, addresses and numbers of real people among it. Each is replaced by a value
of the same kind that is reserved for documentation, so that the row still reads well and code still runs. What
can be nobody's is left alone: reserved and private addresses, test card numbers, numbers no plan can assign.

Phone numbers are judged by phonenumberslite (Google's numbering metadata; pure Python, offline, 2.8 MB). A pattern
alone finds the numbers too, but of its 29 finds behind a plus in 20,000 source and text files 23 were arithmetic
and dates (`-1.+1.41421356j`); the metadata refused those 23. The rest is our own: datatrove's PIIFormatter puts
routable addresses in the place of the masked ones, knows neither IPv6 nor phones nor cards, takes a heading 2.1.1.1
for an address, and rewrites `git@github.com:user/repo.git`.

In doubt a text is left as it is: masking `x @ w.mean` or a section 3.2.1.4 spoils a row for nothing.
"""

import ipaddress
import re
from collections.abc import Iterator

import phonenumbers
from phonenumbers import PhoneNumberType

EMAIL = "user@example.com"  # RFC 2606
IPV4, IPV6 = "192.0.2.1", "2001:db8::1"  # RFC 5737 and RFC 3849
PHONE = "+1-202-555-0100"  # 555-0100 to 555-0199 are kept free for fiction in every area code
CARD = "CARD_NUMBER"

_PLACEHOLDER = re.compile("|".join(map(re.escape, (EMAIL, IPV4, IPV6, PHONE, CARD))))

Found = tuple[int, int, str, str]  # start, end, kind, what to put there

# Any two letters are a country; of the others those that addresses use, so that attributes in code are no domain.
_DOMAIN_END = (
    r"(?:(?:[a-z]{2}|[A-Z]{2})(?![(\[])|(?i:com|org|net|edu|gov|mil|int|info|biz|pro|app|dev|xyz|online|site|tech"
    r"|store|shop|cloud|email|live|club|agency|academy|solutions|consulting|foundation))"
)
_EMAIL = re.compile(
    r"(?<![A-Za-z0-9@/])(?<![A-Za-z0-9][._%+-])([A-Za-z0-9][A-Za-z0-9_%+-]{0,63}(?:\.[A-Za-z0-9_%+-]{1,64}){0,8})"
    rf"@((?:[A-Za-z0-9](?:[A-Za-z0-9-]{{0,61}}[A-Za-z0-9])?\.){{1,8}}{_DOMAIN_END})(?![A-Za-z0-9_@-]|\.[a-z0-9_])"
)
_USER_OF_URL = re.compile(r"://[^\s/?#]*$")
_VERSION_CONTROL = ("git", "hg", "svn")
_EXAMPLE_DOMAIN = re.compile(r"(?:.*\.)?example\.(?:com|org|net|edu)", re.IGNORECASE)

_V4 = re.compile(r"(?<![0-9A-Za-z_.])(?:\d{1,3}\.){3}\d{1,3}(?![0-9A-Za-z_]|\.[a-z0-9])")
_V6 = re.compile(r"(?<![0-9A-Za-z_.:])[23][0-9A-Fa-f]{3}:[0-9A-Fa-f:]{0,34}[0-9A-Fa-f](?![0-9A-Za-z_])")
# what stands before four numbers with dots that are a version, a file or a part of a document
_NO_ADDRESS = re.compile(
    r"(?:\b(?:v|ver|versions?|releases?|build|firmware|sections?|chapters?|clause|paragraph|figure|table|step|oid"
    r"|object ?identifier)\.?|§|버전)[\s:=(\"']*$|[=<>~!]=\s*$|[A-Za-z][-/]$",
    re.IGNORECASE,
)
# Four small numbers are nearly always a version, a heading or an object identifier: they count as an address where
# the text says so. Of addresses drawn evenly 1 in 256 has only such parts.
_SMALL = 64
_ADDRESS_WORD = re.compile(
    r"(?<![a-z])(?:ip(?:v4)?|address(?:es)?|hosts?|servers?|ping|ssh|dns|gateway|router|proxy)(?![a-z])|://|주소|서버",
    re.IGNORECASE,
)
# Public resolvers: facts that a row may be about, and the address of nobody.
_RESOLVERS = frozenset(
    "8.8.8.8 8.8.4.4 1.1.1.1 1.0.0.1 9.9.9.9 149.112.112.112 208.67.222.222 208.67.220.220 2001:4860:4860::8888 "
    "2001:4860:4860::8844 2606:4700:4700::1111 2606:4700:4700::1001 2620:fe::fe 2620:fe::9".split()
)

_CARD_GROUPS = re.compile(
    r"(?<![0-9A-Za-z_.$])(?<!\d[ -])\d{4}(?:([ -])\d{4}\1\d{4}\1\d{4}|([ -])\d{6}\2\d{5})"
    r"(?![0-9A-Za-z_]|[ -]\d{4}(?!\d))"
)
_CARD_DIGITS = re.compile(r"(?<![0-9A-Za-z_.$])\d{15,16}(?![0-9A-Za-z_]|\.\d)")
# Visa, Mastercard, American Express, JCB, Discover, UnionPay; those of Korea alone begin with 9
_CARD_NETWORK = re.compile(
    r"4\d{15}|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}|35\d{14}"
    r"|6(?:011|5\d\d|4[4-9]\d)\d{12}|62\d{14}|9\d{15}"
)
# the numbers that payment services publish for tests
_TEST_CARDS = frozenset(
    "4111111111111111 4242424242424242 4012888888881881 4000056655665556 5555555555554444 5105105105105100 "
    "5200828282828210 2223003122003222 378282246310005 371449635398431 378734493671000 6011111111111117 "
    "6011000990139424 3530111333300000 3566002020360505".split()
)

_NUMBER_BEGINS = r"(?<![0-9A-Za-z_.$€£₩+-])"
_NUMBER_ENDS = r"(?![0-9A-Za-z_]|[-.]\d)"
_PHONES = {
    "US": re.compile(
        rf"{_NUMBER_BEGINS}(?:1[-. ])?(?:\([2-9]\d\d\) ?[2-9]\d\d[-. ]|[2-9]\d\d([-.])[2-9]\d\d\1)\d{{4}}{_NUMBER_ENDS}"
    ),
    "KR": re.compile(rf"{_NUMBER_BEGINS}(?:\(0\d{{1,2}}\) ?|0\d{{1,2}}[-.])\d{{3,4}}[-.]\d{{4}}{_NUMBER_ENDS}"),
}
_INTERNATIONAL = re.compile(r"(?<!\+)(?:\(\+\d{1,3}\)|\+\d)(?:[ ().-]{0,2}\d){6,24}(?![0-9_]|[A-Za-z](?<!x))")
_GLUED = re.compile(r"[0-9A-Za-z_)\]]$")  # "x+12125552671"
_SUMMAND = re.compile(r"(?<![\d-])\d{1,6}\s+$")  # "5 +12125552671"
# Without marks these are a phone number only where the text says so.
_PLAIN_PHONES = {
    "US": re.compile(rf"{_NUMBER_BEGINS}(?:1 ?)?[2-9]\d\d( ?)[2-9]\d\d\1\d{{4}}{_NUMBER_ENDS}"),
    "KR": re.compile(rf"{_NUMBER_BEGINS}0\d{{1,2}}( ?)\d{{3,4}}\1\d{{4}}{_NUMBER_ENDS}"),
}
_PHONE_WORD = re.compile(
    r"\b(?:(?:tele|cell)?phones?|tel|mobile|cell|fax|whatsapp|dial|(?:call|text) (?:me|us|him|her|them|at|on))\b"
    r"|전화|연락처|휴대폰|핸드폰|팩스",
    re.IGNORECASE,
)
_ASKS_RESULT = re.compile(
    r"\b(?:what is|what's|calculate|compute|evaluate|solve|simplify|result of|value of):?\s*$", re.IGNORECASE
)
_NOT_PERSONAL = (
    PhoneNumberType.TOLL_FREE,
    PhoneNumberType.PREMIUM_RATE,
    PhoneNumberType.SHARED_COST,
    PhoneNumberType.UAN,
)


def _in_sum(text: str, start: int, end: int) -> bool:
    """Whether an operator stands next to it, or a question for a result before it."""
    before, after = text[max(0, start - 40) : start].rstrip(), text[end : end + 4].lstrip()
    equation = re.search(r"[\d)]\s*=$", before)
    operator = before.endswith(tuple("+*×÷^")) or after.startswith(tuple("+*×÷^="))
    return bool(operator or equation or _ASKS_RESULT.search(before))


def _emails(text: str) -> Iterator[Found]:
    for match in _EMAIL.finditer(text):
        user, domain = match.groups()
        if user.lower() in _VERSION_CONTROL or _EXAMPLE_DOMAIN.fullmatch(domain):
            continue
        if not _USER_OF_URL.search(text[max(0, match.start() - 100) : match.start(1)]):
            yield match.start(1), match.end(), "email", EMAIL


def _ips(text: str) -> Iterator[Found]:
    for pattern, replacement in ((_V4, IPV4), (_V6, IPV6)):
        for match in pattern.finditer(text):
            try:
                address = ipaddress.ip_address(match.group())
            except ValueError:
                continue
            if not address.is_global or address.is_multicast or str(address) in _RESOLVERS:
                continue
            if address.version == 4:
                network = address.packed[-1] in (0, 255)  # of a whole network, not of a machine
                before = text[max(0, match.start() - 40) : match.start()].rpartition("\n")[2]
                said = _ADDRESS_WORD.search(before) or re.match(r":\d", text[match.end() :][:2])
                small = max(address.packed) < _SMALL and not said
                if network or small or _NO_ADDRESS.search(before):
                    continue
            yield match.start(), match.end(), "ip", replacement


def passes_luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of ISO/IEC 7812-1 (Luhn)."""
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0


def _cards(text: str) -> Iterator[Found]:
    for pattern in (_CARD_GROUPS, _CARD_DIGITS):
        for match in pattern.finditer(text):
            digits = re.sub(r"\D", "", match.group())
            if digits in _TEST_CARDS or not _CARD_NETWORK.fullmatch(digits) or not passes_luhn(digits):
                continue
            if pattern is _CARD_GROUPS or not _in_sum(text, match.start(), match.end()):
                yield match.start(), match.end(), "card", CARD


def _is_personal_number(digits: str, region: str | None) -> bool:
    try:
        number = phonenumbers.parse(digits, region)
    except phonenumbers.NumberParseException:  # too long, too short, or no country has this code
        return False
    if not phonenumbers.is_valid_number(number) or phonenumbers.number_type(number) in _NOT_PERSONAL:
        return False
    return not (number.country_code == 1 and number.national_number % 10**7 // 100 == 55501)


def _says_phone(text: str, start: int, end: int) -> bool:
    before = text[max(0, start - 40) : start].rpartition("\n")[2]
    after = text[end : end + 20].partition("\n")[0]
    return bool(_PHONE_WORD.search(before) or _PHONE_WORD.search(after))


def _end_of_number(text: str, start: int, end: int) -> int | None:
    """Where the longest valid international number ends that begins at start, at the end of a group of digits."""
    ends = [start + group.end() for group in re.finditer(r"\d+", text[start:end])]
    return next((end for end in reversed(ends) if _is_personal_number(text[start:end], None)), None)


def _phones(text: str) -> Iterator[Found]:
    for match in _INTERNATIONAL.finditer(text):
        before = text[max(0, match.start() - 20) : match.start()]
        added = match.group()[1:].isdigit() and _SUMMAND.search(before)
        end = None if added or _GLUED.search(before) else _end_of_number(text, *match.span())
        if end:
            yield match.start(), end, "phone", PHONE
    for patterns, plain in ((_PHONES, False), (_PLAIN_PHONES, True)):
        for region, pattern in patterns.items():
            for match in pattern.finditer(text):
                if _in_sum(text, *match.span()) or (plain and not _says_phone(text, *match.span())):
                    continue
                if _is_personal_number(match.group(), region):
                    yield *match.span(), "phone", PHONE


def _find(text: str) -> list[Found]:
    """Everything to mask, in the order of the text; of two that overlap the one whose kind comes first here."""
    placeholders = ((*match.span(), "", "") for match in _PLACEHOLDER.finditer(text))
    kinds = (placeholders, _emails(text), _ips(text), _cards(text), _phones(text))
    ranked = sorted((found[0], rank, found) for rank, some in enumerate(kinds) for found in some)
    kept: list[tuple[int, Found]] = []
    for start, rank, found in ranked:
        if not kept or start >= kept[-1][1][1]:
            kept.append((rank, found))
        elif rank < kept[-1][0]:
            kept[-1] = rank, found
    return [found for _, found in kept if found[2]]


def mask(text: str) -> tuple[str, list[str]]:
    """The text with personal data replaced, and the kind of each replacement in the order of the text.

    Kinds and placeholders: "email" user@example.com; "ip" 192.0.2.1 or 2001:db8::1; "phone" +1-202-555-0100;
    "card" CARD_NUMBER. mask(mask(text)[0]) changes nothing more.

    Left alone: e-mail at example domains, git@host, users in URLs, names without a known domain ending; IP
    addresses that are private, reserved, of a whole network or a public resolver, version and section numbers;
    phone numbers that no plan can assign ((555) 123-4567), 555-01xx, toll-free and service numbers, national
    forms of other countries than the United States and Korea, seven digits without an area code, digits without
    marks that no word calls a phone number; test cards, and digits that fail the Luhn check or are part of a sum.
    """
    kinds: list[str] = []
    # A masked neighbour can show what it hid ("4539…-4539…"), so look again. Placeholders are never touched: each
    # turn leaves fewer other characters, and the last one finds nothing.
    while found := _find(text):
        parts, place = [], 0
        for start, end, kind, replacement in found:
            parts += text[place:start], replacement
            kinds.append(kind)
            place = end
        text = "".join((*parts, text[place:]))
    return text, kinds
