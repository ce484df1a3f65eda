from dteg.gates.report import WEIGHTS, Finding, GateResult, decide, score, undecided


def finding(severity, rule="r"):
    return Finding(rule=rule, severity=severity, message="m")


def passed(gate, **metrics):
    return GateResult(gate=gate, status="passed", summary="s", metrics=metrics)


def everything(**metrics):
    return [
        passed(gate, **{"coverage_percent": 100.0, "ratio": 1.0, "full_points_ratio": 1.0, **metrics})
        for gate in WEIGHTS
    ]


def test_all_gates_with_nothing_to_say_give_100():
    assert score(everything()) == 100.0
    assert sum(WEIGHTS.values()) == 100


def test_failed_and_unknown_gates_give_nothing():
    assert score([decide("security", [finding("high")], "")]) == 0
    assert score([undecided("security", "no sandbox", "install it")]) == 0


def test_findings_cost_points():
    base = [passed("security")]
    low = [decide("security", [finding("low")] * 3, "")]
    medium = [decide("security", [finding("medium")], "")]
    assert score(base) == 25
    assert score(low) == 23.5
    assert score(medium) == 22.5


def test_coverage_and_speed_count_half_of_their_gates():
    assert score([passed("conformance", coverage_percent=80.0)]) == 27.0
    assert score([passed("performance", ratio=0.1, full_points_ratio=1.0)]) == 5.5
    assert score([passed("performance", ratio=50.0, full_points_ratio=1.0)]) == 10.0


def test_the_worst_findings_come_first_and_decide():
    result = decide("security", [finding("low"), finding("error"), finding("high")], "x")
    assert [each.severity for each in result.findings] == ["error", "high", "low"]
    assert result.status == "failed"
    assert decide("security", [finding("medium")], "x").status == "passed"


def test_unknown_says_why_and_what_to_do():
    result = undecided("conformance", "no bwrap here", "install bubblewrap")
    assert result.status == "unknown"
    assert (result.findings[0].message, result.findings[0].remedy) == ("no bwrap here", "install bubblewrap")
