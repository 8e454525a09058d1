#include "ctl/order_fields.hpp"

#include <algorithm>

#include "core/selector.hpp"

namespace cluster::ctl {
namespace {

constexpr std::size_t kMaxRequirements = 256;

}  // namespace

std::vector<std::string> read_order(FieldReader& fields, std::string_view key,
                                    const core::WorkerSpec& spec) {
    if (fields.find(key) == nullptr) return {};
    std::vector<std::string> names = fields.texts(key, kMaxRequirements);
    for (std::size_t i = 0; i < names.size(); ++i) {
        const std::string where = fields.path(key, i);
        if (!core::is_valid_worker_name(names[i])) {
            throw FieldError(where + ": \"" + clip(names[i]) + "\" is not a worker's name");
        }
        if (names[i] == spec.name) throw FieldError(where + ": a worker cannot require itself");
        const auto here = names.begin() + static_cast<std::ptrdiff_t>(i);
        if (std::find(names.begin(), here, names[i]) != here) {
            throw FieldError(where + ": \"" + names[i] + "\" stands twice");
        }
    }
    return names;
}

}  // namespace cluster::ctl
