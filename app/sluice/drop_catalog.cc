#include "sluice/drop_catalog.hh"

#include "conntrack/drops.hh"
#include "filter/drops.hh"
#include "nat/drops.hh"
#include "pipeline/drops.hh"
#include "routing/drops.hh"

namespace sluice {

telemetry::DropCatalog drop_catalog() {
    telemetry::DropCatalog catalog;
    catalog.add(pipeline::drops::catalog());
    catalog.add(routing::drops::catalog());
    catalog.add(conntrack::drops::catalog());
    catalog.add(filter::drops::catalog());
    catalog.add(nat::drops::catalog());
    return catalog;
}

}  // namespace sluice
