// Numbers with units as people read them.
#pragma once

#include <cstdint>
#include <string>

namespace sluice::sluicectl {

// "12345" as it is below 100000, then "123k", "1.23M", "45.6G".
std::string count_text(double value);
// "512 B", "1.50 KiB", "3.20 GiB".
std::string bytes_text(double value);
// Bits a second of bytes a second: "812 bit/s", "1.20 Gbit/s".
std::string bit_rate_text(double bytes_per_second);
// "350 ms", "12.5 s", "3m 20s", "2h 5m", "4d 1h".
std::string duration_text(double seconds);
// The same for what is short: "850 ns", "12.3 us", "1.20 ms".
std::string latency_text(double seconds);
// A share of one as "12.5 %".
std::string share_text(double share);
// A number as exactly as it came, without a needless fraction.
std::string number_text(double value);

}  // namespace sluice::sluicectl
