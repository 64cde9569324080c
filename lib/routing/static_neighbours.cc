#include "routing/static_neighbours.hh"

#include <set>
#include <string>

namespace sluice::routing {

std::vector<StaticNeighbour> static_neighbours(std::span<const NeighbourConfig> neighbours,
                                               const std::function<InterfaceId(std::string_view)>& id_of,
                                               config::Problems& problems) {
    std::vector<StaticNeighbour> result;
    std::set<std::pair<InterfaceId, IpAddress>> seen;
    for (const auto& neighbour : neighbours) {
        const InterfaceId id = id_of(neighbour.interface);
        if (id == kNoInterface) {
            problems.add(neighbour.location.inside("interface"),
                         "there is no interface '" + neighbour.interface + "'", "expected the name of one");
        } else if (!seen.emplace(id, neighbour.ip).second) {
            problems.add(neighbour.location.inside("ip"),
                         neighbour.ip.to_string() + " on " + neighbour.interface + " was given before",
                         "expected each neighbour once");
        } else if (result.size() == kMaxStaticNeighbours) {
            problems.add(neighbour.location, "one static neighbour too many",
                         "expected at most " + std::to_string(kMaxStaticNeighbours));
            break;
        } else {
            result.push_back({{id, neighbour.ip}, neighbour.mac});
        }
    }
    return result;
}

}  // namespace sluice::routing
