#include "ctl/version.hpp"

namespace cluster::ctl {

const char* version() {
    return CLUSTER_VERSION;
}

}  // namespace cluster::ctl
