//! What a plain word of YAML means to the Python client and the Hub: YAML 1.1, where `no` is false and `010` is 8.

use super::CardValue;

/// The value of a scalar without quotes, by the rules that PyYAML's safe loader has. `Err` says what is wrong with it.
pub(super) fn resolve(text: &str) -> Result<CardValue, &'static str> {
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => CardValue::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => CardValue::Bool(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => CardValue::Bool(false),
        "=" => return Err("a lone '=' must be quoted"),
        text if text.starts_with(['-', '+', '.']) || text.starts_with(|c: char| c.is_ascii_digit()) => {
            if let Some(number) = float(text) {
                CardValue::Float(number)
            } else if let Some(number) = integer(text) {
                number?
            } else if is_timestamp(text) {
                CardValue::Timestamp(text.to_owned())
            } else {
                CardValue::String(text.to_owned())
            }
        }
        text => CardValue::String(text.to_owned()),
    })
}

fn split_sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

/// Whether all of it is digits and low lines, and the first is a digit.
fn is_digits(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit()) && text.bytes().all(|b| b.is_ascii_digit() || b == b'_')
}

/// Minutes and seconds of a number to base 60: one or two digits, below 60.
fn is_sixtieth(text: &str) -> bool {
    match text.as_bytes() {
        [digit] => digit.is_ascii_digit(),
        [ten, digit] => (b'0'..=b'5').contains(ten) && digit.is_ascii_digit(),
        _ => false,
    }
}

pub(super) fn float(text: &str) -> Option<f64> {
    let (negative, body) = split_sign(text);
    let signed = |number: f64| if negative { -number } else { number };
    match body {
        ".inf" | ".Inf" | ".INF" => return Some(signed(f64::INFINITY)),
        ".nan" | ".NaN" | ".NAN" if body.len() == text.len() => return Some(f64::NAN),
        _ => {}
    }
    let (whole, rest) = body.split_once('.')?;
    let sixtieths: Vec<&str> = whole.split(':').collect();
    if let [first, others @ ..] = sixtieths.as_slice()
        && !others.is_empty()
    {
        let right = is_digits(first) && others.iter().all(|part| is_sixtieth(part));
        let fraction_right = rest.bytes().all(|b| b.is_ascii_digit() || b == b'_');
        if !right || !fraction_right {
            return None;
        }
        let (final_part, middle) = others.split_last()?;
        let last = format!("{final_part}.{rest}").replace('_', "");
        let mut number: f64 = first.replace('_', "").parse().ok()?;
        for part in middle {
            number = number * 60.0 + part.parse::<f64>().ok()?;
        }
        return Some(signed(number * 60.0 + last.parse::<f64>().ok()?));
    }
    let (fraction, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (&rest[..at], Some(&rest[at + 1..])),
        None => (rest, None),
    };
    let whole_right = is_digits(whole) || (whole.is_empty() && body.len() == text.len() && is_digits(fraction));
    let fraction_right = fraction.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    let exponent_right = exponent.is_none_or(|exponent| {
        exponent
            .strip_prefix(['-', '+'])
            .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
    });
    if !(whole_right && fraction_right && exponent_right) {
        return None;
    }
    body.replace('_', "").parse().ok().map(signed)
}

/// A whole number. The inner error is for what looks like one and has no digit.
fn integer(text: &str) -> Option<Result<CardValue, &'static str>> {
    let (negative, body) = split_sign(text);
    let only =
        |digits: &str, allowed: fn(u8) -> bool| !digits.is_empty() && digits.bytes().all(|b| b == b'_' || allowed(b));
    let (digits, radix) = if let Some(digits) = body
        .strip_prefix("0b")
        .filter(|digits| only(digits, |b| b == b'0' || b == b'1'))
    {
        (digits, 2)
    } else if let Some(digits) = body
        .strip_prefix("0x")
        .filter(|digits| only(digits, |b| b.is_ascii_hexdigit()))
    {
        (digits, 16)
    } else if body == "0" {
        (body, 10)
    } else if let Some(digits) = body
        .strip_prefix('0')
        .filter(|digits| only(digits, |b| (b'0'..=b'7').contains(&b)))
    {
        // Low lines alone leave the zero in front of them.
        let bare = digits.bytes().all(|b| b == b'_');
        (if bare { "0" } else { digits }, 8)
    } else if body.contains(':') {
        let mut parts = body.split(':');
        let first = parts
            .next()
            .filter(|first| is_digits(first) && !first.starts_with('0'))?;
        let mut number: f64 = 0.0;
        let mut exact: Option<i128> = first.replace('_', "").parse().ok();
        for part in parts {
            if !is_sixtieth(part) {
                return None;
            }
            let part: i128 = part.parse().ok()?;
            exact = exact.and_then(|exact| exact.checked_mul(60)?.checked_add(part));
            number = number * 60.0 + part as f64;
        }
        let exact = exact.map(|exact| if negative { -exact } else { exact });
        return Some(Ok(exact.map_or(CardValue::Float(number), CardValue::Integer)));
    } else if is_digits(body) && !body.starts_with('0') {
        (body, 10)
    } else {
        return None;
    };
    let digits = digits.replace('_', "");
    if digits.is_empty() {
        return Some(Err("a number needs a digit"));
    }
    let signed = if negative { format!("-{digits}") } else { digits };
    // Python's integers have no end; beyond 128 bits the nearest floating-point number must do.
    Some(Ok(match i128::from_str_radix(&signed, radix) {
        Ok(number) => CardValue::Integer(number),
        Err(_) if radix == 10 => CardValue::Float(signed.parse().unwrap_or(f64::INFINITY)),
        Err(_) => return Some(Err("a number in base 2, 8 or 16 has at most 127 bits")),
    }))
}

pub(super) fn is_timestamp(text: &str) -> bool {
    let digits = |text: &str, least: usize, most: usize| {
        (least..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
    };
    let end = text.find(['T', 't', ' ', '\t']).unwrap_or(text.len());
    let (date, rest) = text.split_at(end);
    let parts: Vec<&str> = date.split('-').collect();
    let [year, month, day] = parts[..] else { return false };
    if rest.is_empty() {
        return digits(year, 4, 4) && digits(month, 2, 2) && digits(day, 2, 2);
    }
    if !(digits(year, 4, 4) && digits(month, 1, 2) && digits(day, 1, 2)) {
        return false;
    }
    let time = match rest.strip_prefix(['T', 't']) {
        Some(time) => time,
        None => rest.trim_start_matches([' ', '\t']),
    };
    let clock_end = time
        .find(|c: char| !c.is_ascii_digit() && c != ':' && c != '.')
        .unwrap_or(time.len());
    let (clock, zone) = time.split_at(clock_end);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let parts: Vec<&str> = clock.split(':').collect();
    let [hour, minute, second] = parts[..] else {
        return false;
    };
    let zone = zone.trim_start_matches([' ', '\t']);
    let zone_right = match zone.strip_prefix(['-', '+']) {
        Some(offset) => match offset.split_once(':') {
            Some((hours, minutes)) => digits(hours, 1, 2) && digits(minutes, 2, 2),
            None => digits(offset, 1, 2),
        },
        // Blanks at the end are none of a plain scalar's.
        None => zone == "Z" || zone.is_empty(),
    };
    digits(hour, 1, 2) && digits(minute, 2, 2) && digits(second, 2, 2) && digits(fraction, 0, usize::MAX) && zone_right
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: impl Into<CardValue>) {
        let expected = expected.into();
        let found = resolve(text).unwrap();
        assert!(found.same(&expected), "{text}: {found:?} instead of {expected:?}");
    }

    #[test]
    fn words_mean_what_they_mean_to_python() {
        for (text, value) in [
            ("no", false),
            ("Off", false),
            ("FALSE", false),
            ("yes", true),
            ("ON", true),
        ] {
            check(text, value);
        }
        for text in [
            "n",
            "y",
            "nO",
            "0o17",
            "1e3",
            "1.0e3",
            "-.5",
            "08",
            "1:60",
            "1:2x",
            "2024-1-2",
            "+.nan",
            "1__x",
            "-",
            ".",
            "1.2.3",
            "v1",
            "0x",
            "0b2",
            "2024-01-02T",
            "==",
        ] {
            check(text, text);
        }
        for (text, value) in [
            ("0", 0),
            ("010", 8),
            ("1_000", 1000),
            ("-0x1F", -31),
            ("0b101", 5),
            ("12:30:45", 45045),
            ("+3", 3),
            ("0_", 0),
            ("-1:30", -90),
        ] {
            check(text, value);
        }
        for (text, value) in [
            ("1.10", 1.1),
            ("1.", 1.0),
            (".5", 0.5),
            ("1.0e+3", 1000.0),
            ("1_0.5_0", 10.5),
            ("-.inf", f64::NEG_INFINITY),
            (".NaN", f64::NAN),
            ("1:30.5", 90.5),
            ("1:00:00.", 3600.0),
            ("-0.0", -0.0),
        ] {
            check(text, value);
        }
        check(
            "170141183460469231731687303715884105728",
            170141183460469231731687303715884105728.0,
        );
        for text in [
            "2024-01-02",
            "2001-12-14t21:59:43.10-05:00",
            "2001-12-14 21:59:43.10 -5",
            "2001-1-2 3:04:05Z",
        ] {
            check(text, CardValue::Timestamp(text.to_owned()));
        }
        assert!(resolve("=").is_err() && resolve("0x_").is_err());
    }
}
