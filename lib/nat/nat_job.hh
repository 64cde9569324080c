// Questions about one worker's NAT, which it answers itself in slices between bursts.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/prefix.hh"
#include "base/time.hh"
#include "nat/endpoint.hh"
#include "nat/mapping.hh"
#include "nat/mapping_table.hh"
#include "nat/nat_use.hh"
#include "nat/translator.hh"
#include "wire/protocol.hh"

namespace sluice::nat {

// Belongs to the control thread until it is handed to a worker, to the worker until is_back(). The control
// thread takes out what was found and, unless it is done(), hands it over again: so memory is bounded and the
// walk goes on at the pace of whoever reads.
class NatJob {
  public:
    static constexpr size_t kBatch = 512;

    NatJob() = default;
    NatJob(const NatJob&) = delete;
    NatJob& operator=(const NatJob&) = delete;
    virtual ~NatJob() = default;

    // The control thread's, before each handing over.
    void send() { back_.store(false, std::memory_order_relaxed); }
    // The control thread's, while the job is with a worker; afterwards everything else may be read.
    [[nodiscard]] bool is_back() const { return back_.load(std::memory_order_acquire); }
    [[nodiscard]] bool done() const { return done_; }

    // The worker's: looks at `budget` places. True once the job has been given back and must not be touched
    // any more. Null: the worker does not translate, and has nothing to tell.
    bool run(const Translator* translator, size_t budget);

  protected:
    struct Slice {
        bool done = false;  // there is nothing more to look at
        bool full = false;  // the reader is to take what was found first
    };
    virtual Slice look(const Translator& translator, size_t budget) = 0;

  private:
    bool done_ = false;
    std::atomic<bool> back_{true};
};

// Which mappings.
struct MappingFilter {
    std::optional<IpPrefix> address;  // of the inside or the external endpoint
    std::optional<uint16_t> port;     // likewise
    std::optional<wire::IpProtocol> protocol;

    [[nodiscard]] bool matches(const Mapping& mapping) const;
};

class MappingsJob final : public NatJob {
  public:
    explicit MappingsJob(const MappingFilter& filter) : filter_(filter) { mappings_.reserve(kBatch); }
    // To be cleared by the reader.
    [[nodiscard]] std::vector<Mapping>& found() { return mappings_; }

  private:
    Slice look(const Translator& translator, size_t budget) override;

    MappingFilter filter_;
    MappingCursor cursor_;
    std::vector<Mapping> mappings_;
};

class UseJob final : public NatJob {
  public:
    UseJob() {
        use_.ports.reserve(kBatch);
        use_.hosts.reserve(NatUse::kTopHosts + 1);
    }
    // The ports are to be cleared by the reader; the rest is whole when the job is done.
    [[nodiscard]] NatUse& found() { return use_; }

  private:
    Slice look(const Translator& translator, size_t budget) override;

    size_t space_ = 0;
    bool spaces_done_ = false;
    HostCursor hosts_;
    NatUse use_;
};

// Who has, had, or had at a time an external endpoint.
struct WhoQuestion {
    Endpoint external;
    wire::IpProtocol protocol{};
    std::optional<Instant> at;
};

class WhoJob final : public NatJob {
  public:
    explicit WhoJob(const WhoQuestion& question) : question_(question) { records_.reserve(kBatch); }
    // To be cleared by the reader.
    [[nodiscard]] std::vector<WhoRecord>& found() { return records_; }

  private:
    Slice look(const Translator& translator, size_t budget) override;

    WhoQuestion question_;
    WhoCursor cursor_;
    std::vector<WhoRecord> records_;
};

}  // namespace sluice::nat
