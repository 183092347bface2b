"""Dates and times written in four languages, and in ISO 8601."""

import datetime
import random

_MONTHS = {
    "en": "January February March April May June July August September October November December",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
}
_DAYS = {
    "en": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
    "fr": "lundi mardi mercredi jeudi vendredi samedi dimanche",
    "de": "Montag Dienstag Mittwoch Donnerstag Freitag Samstag Sonntag",
}
_NUMERALS = "〇一二三四五六七八九"
_FIRST, _LAST = datetime.date(1900, 1, 1), datetime.date(2099, 12, 31)


def make_dates(count: int = 8_000, seed: int = 0) -> tuple[list[str], list[str]]:
    """Makes dates, half of them with a time: `"le 3 mars 2021 à 14 h 05"`, `"2021-03-03 14:05"`.

    Args:
        count: Number of dates.
        seed: Seed of their choice.

    Returns:
        The dates as written in English, French, German or Chinese, and in ISO 8601.
    """
    rng = random.Random(seed)
    days = (_LAST - _FIRST).days
    sources, targets = [], []
    for _ in range(count):
        date = _FIRST + datetime.timedelta(days=rng.randrange(days + 1))
        time = (rng.randrange(24), rng.randrange(60)) if rng.random() < 0.5 else None
        write = rng.choice((_english, _french, _german, _chinese))
        sources.append(write(rng, date, time))
        targets.append(date.isoformat() + (f" {time[0]:02}:{time[1]:02}" if time else ""))
    return sources, targets


def _names(language: str, date: datetime.date) -> tuple[str, str]:
    """The month and the day of the week."""
    month, day = _MONTHS[language].split()[date.month - 1], _DAYS[language].split()[date.weekday()]
    return month, day


def _english(rng: random.Random, date: datetime.date, time: tuple[int, int] | None) -> str:
    month, weekday = _names("en", date)
    ending = "th" if 10 < date.day < 14 else {1: "st", 2: "nd", 3: "rd"}.get(date.day % 10, "th")
    day = rng.choice((f"{date.day}", f"{date.day}{ending}"))
    month = rng.choice((month, month[:3]))
    text = rng.choice((
        f"{month} {day}, {date.year}",
        f"{day} {month} {date.year}",
        f"the {date.day}{ending} of {month} {date.year}",
        f"{weekday}, {month} {day}, {date.year}",
    ))  # fmt: skip
    if time is None:
        return text
    hour, minute = time
    half = "am" if hour < 12 else "pm"
    clock = rng.choice((f"{hour:02}:{minute:02}", f"{(hour - 1) % 12 + 1}:{minute:02} {half}"))
    return rng.choice((f"{text} at {clock}", f"{clock} on {text}"))


def _french(rng: random.Random, date: datetime.date, time: tuple[int, int] | None) -> str:
    month, weekday = _names("fr", date)
    day = "1er" if date.day == 1 else f"{date.day}"
    text = f"{rng.choice(('le', weekday, f'le {weekday}'))} {day} {month} {date.year}"
    if time is None:
        return text
    hour, minute = time
    return f"{text} à " + rng.choice((f"{hour} h {minute:02}", f"{hour}h{minute:02}"))


def _german(rng: random.Random, date: datetime.date, time: tuple[int, int] | None) -> str:
    month, weekday = _names("de", date)
    text = rng.choice((
        f"{date.day}. {month} {date.year}",
        f"der {date.day}. {month} {date.year}",
        f"{weekday}, den {date.day}. {month} {date.year}",
        f"{date.day:02}.{date.month:02}.{date.year}",
    ))  # fmt: skip
    if time is None:
        return text
    hour, minute = time
    return f"{text} " + rng.choice((f"um {hour}:{minute:02} Uhr", f"{hour} Uhr {minute:02}"))


def _chinese(rng: random.Random, date: datetime.date, time: tuple[int, int] | None) -> str:
    if rng.random() < 0.5:
        text = f"{date.year}年{date.month}月{date.day}日"
    else:
        year = "".join(_NUMERALS[int(digit)] for digit in str(date.year))
        text = f"{year}年{_numeral(date.month)}月{_numeral(date.day)}日"
    text += rng.choice(("", f"星期{'一二三四五六日'[date.weekday()]}"))
    if time is None:
        return text
    hour, minute = time
    half = "上午" if hour < 12 else "下午"
    return text + rng.choice((
        f"{hour}点{minute}分",
        f"{half}{(hour - 1) % 12 + 1}点{minute}分",
        f"{_numeral(hour)}点{_numeral(minute)}分",
    ))  # fmt: skip


def _numeral(number: int) -> str:
    """A number below 100 in Chinese numerals."""
    tens, ones = divmod(number, 10)
    if not tens:
        return _NUMERALS[ones]
    return ("" if tens == 1 else _NUMERALS[tens]) + "十" + (_NUMERALS[ones] if ones else "")
