#include "replay/capture_reader.hh"

#include <pcap/pcap.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

namespace sluice::replay {

namespace {

// pcap holds seconds in 32 bits, and results are written as pcap too.
constexpr int64_t kLastSecond = std::numeric_limits<uint32_t>::max();

std::string link_type_name(int link_type) {
    const char* name = pcap_datalink_val_to_name(link_type);
    return name != nullptr ? name : "number " + std::to_string(link_type);
}

}  // namespace

void CaptureReader::Close::operator()(pcap* capture) const {
    pcap_close(capture);
}

CaptureReader::CaptureReader(std::filesystem::path file, pcap* capture)
    : file_(std::move(file)), capture_(capture) {}

Expected<CaptureReader> CaptureReader::open(const std::filesystem::path& file) {
    std::array<char, PCAP_ERRBUF_SIZE> reason{};
    pcap_t* capture =
        pcap_open_offline_with_tstamp_precision(file.c_str(), PCAP_TSTAMP_PRECISION_NANO, reason.data());
    if (capture == nullptr) {
        return fail("capture " + file.string() + " cannot be read: " + reason.data(),
                    "pcap and pcapng files are understood, e.g. from tcpdump -w");
    }
    CaptureReader reader(file, capture);
    if (const int link_type = pcap_datalink(capture); link_type != DLT_EN10MB) {
        return fail("capture " + file.string() + " has link type " + link_type_name(link_type) +
                        ", not Ethernet (EN10MB)",
                    "record on one Ethernet interface, not on 'any' or a tunnel");
    }
    return reader;
}

Expected<std::optional<CapturedFrame>> CaptureReader::next() {
    if (!capture_) {
        return std::nullopt;
    }
    pcap_pkthdr* header = nullptr;
    const u_char* bytes = nullptr;
    const int result = pcap_next_ex(capture_.get(), &header, &bytes);
    if (result == PCAP_ERROR_BREAK) {
        capture_.reset();
        return std::nullopt;
    }
    const std::string place =
        "capture " + file_.string() + " is damaged after frame " + std::to_string(frames_);
    if (result != 1) {
        const std::string reason = pcap_geterr(capture_.get());
        capture_.reset();
        return fail(place + ": " + reason, "the frames before that place were used");
    }
    if (header->ts.tv_sec < 0 || header->ts.tv_sec > kLastSecond) {
        capture_.reset();
        return fail(place + ": the next time stamp lies outside the years 1970 to 2106",
                    "the frames before that place were used");
    }
    ++frames_;
    // tv_usec counts nanoseconds here, because that precision was asked for.
    const Duration time = std::chrono::seconds(header->ts.tv_sec) + Duration(header->ts.tv_usec);
    return CapturedFrame{Instant(time), {bytes, header->caplen}, std::max(header->len, header->caplen)};
}

}  // namespace sluice::replay
