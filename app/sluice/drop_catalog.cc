#include "sluice/drop_catalog.hh"

#include "pipeline/drops.hh"
#include "routing/drops.hh"

namespace sluice {

telemetry::DropCatalog drop_catalog() {
    telemetry::DropCatalog catalog;
    catalog.add(pipeline::drops::catalog());
    catalog.add(routing::drops::catalog());
    return catalog;
}

}  // namespace sluice
