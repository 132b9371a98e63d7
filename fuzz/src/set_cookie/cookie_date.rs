//! RFC 6265bis, section 5.1.1: dates.

/// Reads a cookie's date. Returns Unix seconds.
pub fn cookie_date(text: &[u8]) -> Option<i64> {
    // Step 1: tokens stand between delimiters.
    let is_delimiter = |byte: &u8| matches!(byte, 0x09 | 0x20..=0x2f | 0x3b..=0x40 | 0x5b..=0x60 | 0x7b..=0x7e);
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    // Step 2: each token is the first of these that it can be and that is not there yet.
    for token in text.split(is_delimiter).filter(|token| !token.is_empty()) {
        if let (None, Some(found)) = (time, time_of(token)) {
            time = Some(found);
        } else if let (None, Some(found)) = (day, number(token, 1, 2)) {
            day = Some(found);
        } else if let (None, Some(found)) = (month, month_of(token)) {
            month = Some(found);
        } else if let (None, Some(found)) = (year, number(token, 2, 4)) {
            // Steps 3 and 4.
            year = Some(match found {
                70..=99 => found + 1900,
                0..=69 => found + 2000,
                _ => found,
            });
        }
    }
    // Steps 5 to 7.
    let ((hour, minute, second), day, month, year) = (time?, day?, month?, year?);
    if !(1..=31).contains(&day) || year < 1601 || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days_before(year, month) + day - 1;
    let is_date = day <= days_before(year + month / 12, month % 12 + 1) - days_before(year, month);
    is_date.then_some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

/// Digits that anything else, or nothing, follows.
fn number(token: &[u8], least: usize, most: usize) -> Option<i64> {
    let digits = token.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = token[..digits].iter().fold(0, |sum: i64, digit| sum.wrapping_mul(10) + i64::from(digit - b'0'));
    (least..=most).contains(&digits).then_some(number)
}

fn time_of(token: &[u8]) -> Option<(i64, i64, i64)> {
    let fields: Vec<&[u8]> = token.splitn(3, |byte| *byte == b':').collect();
    let [hour, minute, second] = fields[..] else { return None };
    let whole = |field: &[u8]| number(field, 1, 2).filter(|_| field.iter().all(u8::is_ascii_digit));
    Some((whole(hour)?, whole(minute)?, number(second, 1, 2)?))
}

fn month_of(token: &[u8]) -> Option<i64> {
    let head = token.get(..3)?.to_ascii_lowercase();
    let months = b"janfebmaraprmayjunjulaugsepoctnovdec".as_chunks::<3>().0;
    (1..).zip(months).find(|(_, month)| head == month[..]).map(|(number, _)| number)
}

/// The days from the Unix epoch to the first of a month.
fn days_before(year: i64, month: i64) -> i64 {
    let leaps = |year: i64| year / 4 - year / 100 + year / 400;
    let is_leap = leaps(year) - leaps(year - 1);
    let before = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334][(month - 1) as usize];
    (year - 1970) * 365 + leaps(year - 1) - leaps(1969) + before + if month > 2 { is_leap } else { 0 }
}
