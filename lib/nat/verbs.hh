// GET /v1/nat, /v1/nat/ports and /v1/nat/who.
#pragma once

#include "admin/verbs.hh"
#include "nat/nat_walk.hh"

namespace sluice::nat {

void add_verbs(admin::Verbs& verbs, NatAccess access);

}  // namespace sluice::nat
