// Stores as fields of JSON: the choice of a worker, and a whole [store] table. The bounds are those
// of conf.
#include <algorithm>
#include <charconv>
#include <utility>

#include "core/selector.hpp"
#include "ctl/answer_fields.hpp"
#include "ctl/spec_fields.hpp"
#include "ctl/spec_json.hpp"

namespace cluster::ctl {
namespace {

/// A random number of 64 bits is none that every JSON reader keeps: it travels as text.
std::optional<std::uint64_t> read_generation(FieldReader& fields, std::string_view name) {
    const std::optional<std::string> text = fields.optional_text(name);
    if (!text) return std::nullopt;
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
    if (error != std::errc{} || end != text->data() + text->size()) {
        throw FieldError(fields.path(name) + ": expected a decimal number as text");
    }
    return number;
}

StoresAnswer read_stores_answer(FieldReader& fields) {
    StoresAnswer answer;
    for (const Json& entry : fields.array("stores", kAnswerBounds.values)) {
        FieldReader store(entry, fields.path("stores", answer.stores.size()),
                          UnknownFields::ignore);
        StoreStatus status{.spec = read_store_fields(store.require("spec"), store.path("spec"))};
        if (store.find("inode") != nullptr) status.inode = store.counter("inode");
        status.generation = read_generation(store, "generation");
        answer.stores.push_back(std::move(status));
    }
    return answer;
}

core::HugePages read_huge_pages(FieldReader& fields) {
    // A state of an earlier version says with a boolean whether it is everything from the start.
    if (fields.require("huge_pages").is_boolean()) {
        return fields.boolean("huge_pages") ? core::HugePages::all : core::HugePages::used;
    }
    const std::string name = fields.text("huge_pages");
    const auto found = std::find(core::kHugePagesNames.begin(), core::kHugePagesNames.end(), name);
    if (found == core::kHugePagesNames.end()) {
        throw FieldError(fields.path("huge_pages") + ": \"" + clip(name) +
                         "\" is none of used, all and none");
    }
    return static_cast<core::HugePages>(found - core::kHugePagesNames.begin());
}

/// As conf has them.
constexpr std::uint64_t kMaxStoreSize = std::uint64_t{16} << 30U;
constexpr std::int64_t kMaxCounters = std::int64_t{1} << 20U;
constexpr std::int64_t kMaxStripedCounters = 4096;
constexpr std::int64_t kMaxParticipants = 16384;

}  // namespace

bool is_store_name(const std::string& name) {
    return name == core::kDefaultStore || core::is_valid_group_name(name);
}

Json store_choice_field(const core::StoreChoice& choice) {
    using Kind = core::StoreChoice::Kind;
    switch (choice.kind) {
        case Kind::automatic:
            return {};
        case Kind::none:
            return false;
        case Kind::named:
            return choice.name;
    }
    return {};
}

core::StoreChoice read_store_choice(FieldReader& fields, std::string_view name) {
    using Kind = core::StoreChoice::Kind;
    const Json* value = fields.find(name);
    if (value == nullptr) return {};
    if (value->boolean() == false) return {.kind = Kind::none, .name = {}};
    if (!value->is_string()) {
        throw FieldError(fields.path(name) + ": expected the name of a store, or false");
    }
    core::StoreChoice choice{.kind = Kind::named, .name = fields.text(name)};
    if (!is_store_name(choice.name)) {
        throw FieldError(fields.path(name) + ": \"" + clip(choice.name) +
                         "\" is not a store's name ([A-Za-z0-9_-]{1,64}, not \"all\")");
    }
    return choice;
}

Json store_fields(const core::StoreSpec& spec) {
    return Json{{"name", spec.name},
                {"size_bytes", spec.size},
                {"counters", spec.counters},
                {"striped_counters", spec.striped_counters},
                {"participants", spec.participants},
                {"huge_pages", core::name_of(spec.huge_pages)},
                {"source", exact_text(spec.source)}};
}

core::StoreSpec read_store_fields(const Json& value, const std::string& where) {
    FieldReader fields(value, where);
    core::StoreSpec spec;
    spec.name = fields.text("name");
    if (!is_store_name(spec.name)) {
        throw FieldError(fields.path("name") + ": \"" + clip(spec.name) +
                         "\" is not a store's name ([A-Za-z0-9_-]{1,64}, not \"all\")");
    }
    const auto count = [&fields](const char* name, std::int64_t least, std::int64_t most) {
        return static_cast<std::uint32_t>(fields.integer(name, least, most));
    };
    spec.size = fields.counter("size_bytes", kMaxStoreSize);
    spec.counters = count("counters", 1, kMaxCounters);
    spec.striped_counters = count("striped_counters", 0, kMaxStripedCounters);
    spec.participants = count("participants", 1, kMaxParticipants);
    spec.huge_pages = read_huge_pages(fields);
    spec.source = fields.exact("source");
    fields.finish();
    return spec;
}

Json answer_fields(const StoresAnswer& answer) {
    Json stores = Json::array();
    for (const StoreStatus& store : answer.stores) {
        const auto& generation = store.generation;
        stores.push_back(
            Json{{"spec", store_fields(store.spec)},
                 {"inode", store.inode},
                 {"generation", generation ? Json(std::to_string(*generation)) : Json()}});
    }
    return Json{{"stores", std::move(stores)}};
}

tl::expected<StoresAnswer, RpcError> parse_stores(std::string_view line) {
    return parse_answer(line, read_stores_answer);
}

}  // namespace cluster::ctl
