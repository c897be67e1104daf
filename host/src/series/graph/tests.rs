use super::*;

fn drawn(metric: &str, unit: Unit, values: &[Option<f64>]) -> Drawn {
    let (series, kind, values) = (format!("{metric}{{job=\"mx:1\",site=\"100%\\\"\"}}"), Kind::Gauge, values.to_vec());
    Drawn { series, metric: metric.into(), unit, kind, step: 60, start: Some(1_774_742_460), values, band: None }
}

fn look(picture: Picture) -> Look {
    Look { picture, title: None, width: 400, height: 100, zone: Zone::default() }
}

fn svg(series: &[Drawn]) -> String {
    String::from_utf8(draw(series, &look(Picture::Svg)).unwrap()).unwrap()
}

/// How often something is painted in this colour; cairo writes shares of a hundred.
fn painted_in(svg: &str, colour: [u8; 3]) -> usize {
    let written = svg.split("rgb(").skip(1).filter_map(|rest| rest.split(')').next());
    let levels = written.map(|colour| colour.split(',').map(|level| level.trim_matches([' ', '%']).parse().unwrap()).collect::<Vec<f64>>());
    levels.filter(|levels| levels.iter().zip(colour).all(|(level, wanted)| (level - f64::from(wanted) / 2.55).abs() < 0.1)).count()
}

#[test]
fn each_series_has_a_line_of_its_own_colour() {
    let values: Vec<Option<f64>> = (0..60).map(|n| Some(f64::from(n))).collect();
    let (one, two) = (drawn("a", Unit::Seconds, &values), drawn("b", Unit::Seconds, &values));
    let (blue, orange) = ([0x00, 0x72, 0xB2], [0xD5, 0x5E, 0x00]);
    let (alone, both) = (svg(std::slice::from_ref(&one)), svg(&[one.clone(), two]));
    assert!(painted_in(&alone, blue) > 0 && painted_in(&alone, orange) == 0, "{}", alone.len());
    assert!(painted_in(&both, blue) > 0 && painted_in(&both, orange) > 0, "{}", both.len());
}

#[test]
fn what_is_usual_is_a_band_behind_the_line() {
    let values: Vec<Option<f64>> = (0..60).map(|n| Some(f64::from(n))).collect();
    let ends = |end: f64| vec![Some(end); 60];
    let band = Some(band::Drawn { deviations: 2.0, low: ends(-10.0), high: ends(20.0) });
    let with = Drawn { band, ..drawn("a", Unit::Seconds, &values) };
    let (orange, blue, second) = ([0xE6, 0x9F, 0x00], [0x00, 0x72, 0xB2], drawn("b", Unit::Seconds, &values));
    let (alone, without) = (svg(std::slice::from_ref(&with)), svg(&[drawn("a", Unit::Seconds, &values)]));
    assert!(painted_in(&alone, orange) > 0 && painted_in(&without, orange) == 0, "{}", alone.len());
    // Among others it has the colour of its line.
    let both = svg(&[with, second.clone()]);
    assert!(
        painted_in(&both, orange) == 0 && painted_in(&both, blue) > painted_in(&svg(&[second.clone(), second]), blue),
        "{}",
        both.len()
    );
}

#[test]
fn a_picture_is_as_wide_as_its_names_need_and_others_have_their_own() {
    let values = [Some(1.0), None, Some(3.0)];
    let size = |series: &Drawn, look: &Look| {
        let png = draw(std::slice::from_ref(series), look).unwrap();
        assert!(png.starts_with(b"\x89PNG"));
        [16, 20].map(|at| u32::from_be_bytes(png[at..at + 4].try_into().unwrap()))
    };
    let short = drawn("a", Unit::Number, &values);
    let long = Drawn { series: "x".repeat(150), ..short.clone() };
    let [[width, height], [wider, _]] = [&short, &long].map(|series| size(series, &look(Picture::Png)));
    assert!(width >= 400 && height > 100 && wider > 1_000 && wider > width, "{width} {height} {wider}");
    let huge = Look { width: u32::MAX, height: 50, ..look(Picture::Png) };
    assert!(size(&short, &huge)[0] < PIXELS_MAX + 400);
}

#[test]
fn what_cannot_be_drawn_is_told() {
    let error = |series: &[Drawn]| draw(series, &look(Picture::Png)).unwrap_err().to_string();
    let known = drawn("a", Unit::Number, &[Some(1.0)]);
    assert_eq!(error(&[drawn("a", Unit::Number, &[None, None])]), "nothing is known of that time");
    assert_eq!(error(&[]), "nothing is known of that time");
    assert!(error(&vec![known.clone(); DRAWN_MAX + 1]).starts_with("21 series are meant"));
    assert!(draw(&[known.clone(), drawn("b", Unit::Bytes, &[None])], &look(Picture::Png)).is_ok());
    assert!(draw(&[known], &look(Picture::Svg)).is_ok());
}

#[test]
fn figures_are_written_in_the_unit_that_reads_well() {
    let scale = |unit, values: &[f64]| Scale::of(&[drawn("a", unit, &values.iter().copied().map(Some).collect::<Vec<_>>())]);
    let table = [
        (Unit::Seconds, 0.000_25, "microseconds", "250.0 µs"),
        (Unit::Seconds, 0.0321, "milliseconds", "32.10 ms"),
        (Unit::Seconds, 2.5, "seconds", "2.500 s"),
        (Unit::Seconds, 600.0, "minutes", "10.00 min"),
        (Unit::Seconds, 86_400.0, "hours", "24.00 h"),
        (Unit::Bytes, 3_145_728.0, "MiB", "3.000 MiB"),
        (Unit::Ratio, 0.05, "percent", "5.000 %"),
        (Unit::Messages, 12_345.0, "messages", "12345"),
        (Unit::Number, -1e12, "number", "-1.00e12"),
    ];
    for (unit, value, label, written) in table {
        let scale = scale(unit, &[value, value / 3.0]);
        assert_eq!((scale.label.as_str(), scale.written(Some(value)).as_str()), (label, written));
    }
    assert_eq!(scale(Unit::Seconds, &[1.0]).written(None), "unknown");
    let rate = Drawn { kind: Kind::Counter, ..drawn("a", Unit::Bytes, &[Some(2_048.0)]) };
    let alone = Scale::of(std::slice::from_ref(&rate));
    assert_eq!((alone.label.as_str(), alone.sign.as_str()), ("KiB per second", "KiB/s"));
    let mixed = Scale::of(&[rate, drawn("b", Unit::Seconds, &[Some(0.001)])]);
    assert_eq!((mixed.factor, mixed.label.as_str(), mixed.sign.as_str()), (1.0, "bytes per second, seconds", ""));
}

#[test]
fn the_legend_tells_last_mean_and_greatest_of_what_is_known() {
    let series = [drawn("a", Unit::Seconds, &[Some(1.0), None, Some(4.0), Some(2.5), None])];
    let written = Written::of(&series, &Scale::of(&series), (1_774_742_400, 1_774_742_700), Zone::parse("Europe/Paris").unwrap());
    let line = &written.lines[0];
    assert_eq!(line.figures.split_whitespace().collect::<Vec<_>>(), ["2.500", "s", "2.500", "s", "4.000", "s"]);
    assert_eq!(line.name, series[0].series);
    assert_eq!(written.head.chars().count(), 3 + line.name.chars().count() + 2 + line.figures.chars().count());
    assert_eq!(written.foot, "2026-03-29 01:00:00 to 2026-03-29 01:05:00 Europe/Paris, a value every 1 min; grey: nothing known");
}
