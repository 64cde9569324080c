"""docs/rfc.md tells the truth about the tests."""
import check_rfc


def test_every_citation_stands():
    assert check_rfc.findings() == []
