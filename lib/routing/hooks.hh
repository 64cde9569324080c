// The places where a firewall looks into a packet's way through the router: netfilter's five hooks. Routing
// asks them on the slow path; who implements them knows rules and flows.
#pragma once

#include <cstdint>

#include "base/interface_id.hh"
#include "conntrack/tracked.hh"
#include "pipeline/verdict.hh"
#include "wire/bytes.hh"

namespace sluice::routing {

struct Context;
struct NextHop;

// One packet on its way past the hooks. It is always a whole datagram, and starts at its IP header.
struct Passage {
    // A hook may rewrite bytes; `input` and `postrouting` may also change the length, up to `room`.
    wire::MutableBytes packet;
    InterfaceId in = kNoInterface;        // none: the box made it
    InterfaceId out = kNoInterface;       // known from `forward` and `output` on
    uint16_t mtu = 0;                     // of the way out, from `forward` and `output` on
    bool link_group = false;              // came as link-layer broadcast or multicast
    const uint8_t* source_mac = nullptr;  // six bytes of the frame it came in
    uint32_t mark = 0;
    bool notrack = false;               // a rule keeps it from being tracked
    conntrack::Tracked tracked = {};    // what connection tracking found
    const NextHop* next_hop = nullptr;  // of a packet that is forwarded, from `forward` on
    uint16_t room = 0;                  // bytes there are from the packet's start; less: its length is fixed
    // Of an ICMP error or a reset about a packet on its way: what tracking found of that.
    const conntrack::Tracked* about = nullptr;
};

// One for each worker. A verdict of `next` lets the packet go on; `drop` and `consumed` end it, and what has
// to be told to its sender has been told.
class Hooks {
  public:
    virtual ~Hooks() = default;
    virtual pipeline::Verdict prerouting(Context& context, Passage& passage) = 0;
    virtual pipeline::Verdict input(Context& context, Passage& passage) = 0;
    virtual pipeline::Verdict forward(Context& context, Passage& passage) = 0;
    virtual pipeline::Verdict output(Context& context, Passage& passage) = 0;
    virtual pipeline::Verdict postrouting(Context& context, Passage& passage) = 0;
    // A packet that has passed all hooks on its way from `in` cannot be sent: makes its source what it was
    // before (R1812-4.3.2.3), and says which flow it belongs to.
    virtual void turn_back(Context& context, Passage& passage) = 0;
    // The packet has left or ended: a flow it began but did not get through is forgotten.
    virtual void done(Passage& passage) = 0;
    // Whether fragments are put together before `prerouting`, as they are where flows are tracked.
    [[nodiscard]] virtual bool wants_whole_datagrams() const = 0;
};

// Calls done() at the end of a packet's way, however it ended. `hooks` may be null: then nothing is asked.
class PassageScope {
  public:
    PassageScope(Hooks* hooks, Passage& passage) : hooks_(hooks), passage_(passage) {}
    ~PassageScope() {
        if (hooks_ != nullptr)
            hooks_->done(passage_);
    }
    PassageScope(const PassageScope&) = delete;
    PassageScope& operator=(const PassageScope&) = delete;

  private:
    Hooks* hooks_;
    Passage& passage_;
};

}  // namespace sluice::routing
