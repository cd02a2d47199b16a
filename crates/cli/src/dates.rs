//! Dates that people write.

/// Reads `YYYY-MM-DD` as the seconds from 1970 to the end of that day, in UTC.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is no date such as 2026-11-26");
    let mut parts = text.split('-');
    let mut part = |digits: usize| {
        let part = parts.next().filter(|part| part.len() == digits)?;
        part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse::<u64>().ok())?
    };
    let (Some(year), Some(month), Some(day)) = (part(4), part(2), part(2)) else {
        return Err(wrong());
    };
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [31, 28 + u64::from(is_leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let is_day = (1..=12).contains(&month) && (1..=lengths[month as usize - 1]).contains(&day);
    if parts.next().is_some() || year < 1970 || !is_day {
        return Err(wrong());
    }
    let before = year - 1;
    // Leap days since the year 1, less the 477 before 1970.
    let leap_days = before / 4 - before / 100 + before / 400 - 477;
    let days = (year - 1970) * 365 + leap_days + lengths[..month as usize - 1].iter().sum::<u64>();
    Ok((days + day) * 86_400 - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(parse("1970-01-01"), Ok(86_399));
        assert_eq!(parse("2000-02-29"), Ok(951_868_799));
        assert_eq!(parse("2026-11-26"), Ok(1_795_737_599));
        for wrong in [
            "",
            "2026",
            "2026-1-1",
            "2025-02-29",
            "2026-13-01",
            "2026-11-31",
            "+026-11-01",
            "2026-11-26-1",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
