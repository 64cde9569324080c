// What the operator says about the engine: the `engine` section.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "config/enum_names.hh"
#include "config/mapping.hh"

namespace sluice::dpdk {

enum class Poll : uint8_t { busy, adaptive };
enum class Steering : uint8_t { automatic, rss, software };
enum class Hugepages : uint8_t { automatic, required, off };

enum class AutoWorkers : uint8_t { all_but_one };  // at least one
// How many workers, on which CPUs, or as many as there are CPUs to spare.
using Workers = std::variant<uint32_t, std::vector<uint32_t>, AutoWorkers>;

struct EngineConfig {
    Workers workers = 1U;
    Poll poll = Poll::adaptive;
    uint16_t budget = 64;
    Steering steering = Steering::automatic;
    Hugepages hugepages = Hugepages::automatic;
    uint32_t mbufs = 32768;
    std::vector<std::string> eal_args;
    bool operator==(const EngineConfig&) const = default;
};

}  // namespace sluice::dpdk

namespace sluice {

template <>
struct config::EnumNames<dpdk::Poll> {
    static constexpr auto names =
        std::to_array<EnumName<dpdk::Poll>>({{dpdk::Poll::busy, "busy"}, {dpdk::Poll::adaptive, "adaptive"}});
};
template <>
struct config::EnumNames<dpdk::Steering> {
    static constexpr auto names =
        std::to_array<EnumName<dpdk::Steering>>({{dpdk::Steering::automatic, "auto"},
                                                 {dpdk::Steering::rss, "rss"},
                                                 {dpdk::Steering::software, "software"}});
};
template <>
struct config::EnumNames<dpdk::Hugepages> {
    static constexpr auto names =
        std::to_array<EnumName<dpdk::Hugepages>>({{dpdk::Hugepages::automatic, "auto"},
                                                  {dpdk::Hugepages::required, "required"},
                                                  {dpdk::Hugepages::off, "off"}});
};
template <>
struct config::EnumNames<dpdk::AutoWorkers> {
    static constexpr auto names =
        std::to_array<EnumName<dpdk::AutoWorkers>>({{dpdk::AutoWorkers::all_but_one, "auto"}});
};
template <>
struct config::Schema<dpdk::EngineConfig> {
    static const Mapping<dpdk::EngineConfig>& get();
};

}  // namespace sluice
