#include "conf/store_keys.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "conf/keys.hpp"
#include "conf/nearest.hpp"
#include "conf/values.hpp"
#include "conf/worker.hpp"
#include "core/selector.hpp"

namespace cluster::conf {
namespace {

// As the layout of a segment has them (lib/store/LAYOUT.md).
constexpr std::uint64_t kMaxSize = std::uint64_t{16} << 30U;
constexpr std::int64_t kMaxCounters = std::int64_t{1} << 20U;
constexpr std::int64_t kMaxStripedCounters = 4096;
constexpr std::int64_t kMaxParticipants = 16384;

constexpr std::string_view kChoiceKey = "store";
constexpr std::string_view kChoice = "the name of a store such as \"sessions\", or false";

struct StoreDraft {
    core::StoreSpec spec;
    std::optional<Field> size;
};

constexpr Choice<core::HugePages> kHugePages[] = {
    {core::name_of(core::HugePages::used), core::HugePages::used},
    {core::name_of(core::HugePages::all), core::HugePages::all},
    {core::name_of(core::HugePages::none), core::HugePages::none}};

constexpr Keys<StoreDraft, 5> kStoreKeys{{
    {"size",
     [](StoreDraft& draft, const Field& field) {
         draft.size = field;
         const std::optional<std::string> text = read_text(field, "a size such as \"64MiB\"");
         if (!text) return;
         const tl::expected<std::uint64_t, std::string> size = parse_size(*text);
         if (!size) {
             field.refuse(size.error());
         } else if (*size > kMaxSize) {
             field.refuse(in_quotes(*text) + " is too large; a store has at most " +
                          format_size(kMaxSize));
         } else {
             draft.spec.size = *size;
         }
     }},
    {"counters",
     [](StoreDraft& draft, const Field& field) {
         if (const auto count = read_integer(field, 1, kMaxCounters)) {
             draft.spec.counters = static_cast<std::uint32_t>(*count);
         }
     }},
    {"striped_counters",
     [](StoreDraft& draft, const Field& field) {
         if (const auto count = read_integer(field, 0, kMaxStripedCounters)) {
             draft.spec.striped_counters = static_cast<std::uint32_t>(*count);
         }
     }},
    {"participants",
     [](StoreDraft& draft, const Field& field) {
         if (const auto count = read_integer(field, 1, kMaxParticipants)) {
             draft.spec.participants = static_cast<std::uint32_t>(*count);
         }
     }},
    {"huge_pages",
     [](StoreDraft& draft, const Field& field) {
         draft.spec.huge_pages = read_choice(field, kHugePages).value_or(draft.spec.huge_pages);
     }},
}};

/// Whole KiB, so that it reads well; never less than `bytes`.
std::string readable_minimum(std::uint64_t bytes) {
    constexpr std::uint64_t kKiB = 1024;
    return format_size((bytes + kKiB - 1) / kKiB * kKiB);
}

void check_size(const StoreDraft& draft, const Field& table, MinimumStoreSize minimum) {
    if (minimum == nullptr) return;
    const std::uint64_t least = minimum(draft.spec);
    if (draft.spec.size >= least) return;
    const core::StoreSpec& spec = draft.spec;
    const std::string message = format_size(spec.size) + " is too small for " +
                                std::to_string(spec.counters) + " counters, " +
                                std::to_string(spec.striped_counters) + " striped ones and " +
                                std::to_string(spec.participants) +
                                " participants; the minimum is " + readable_minimum(least);
    if (draft.size) {
        draft.size->refuse(message);
    } else {
        table.refuse_at(table.key_at(), message);
    }
}

void check_name(const Field& field) {
    if (field.key() == core::kDefaultStore) {
        field.refuse_at(field.key_at(),
                        "the default store is described by [store] itself, without a name");
    } else if (!core::is_valid_group_name(field.key())) {
        field.refuse_at(field.key_at(),
                        "a store's name has 1 to " + std::to_string(core::kMaxNameLength) +
                            " letters, digits, '_' or '-', and is not \"all\"; got " +
                            in_quotes(field.key()));
    }
}

core::StoreSpec read_named(const Field& field, const std::string& source,
                           MinimumStoreSize minimum) {
    StoreDraft draft;
    draft.spec.name = field.key();
    draft.spec.source = source;
    check_name(field);
    read_table(field, kStoreKeys, draft);
    check_size(draft, field, minimum);
    return std::move(draft.spec);
}

/// The key `store` of a worker's table.
std::optional<Field> find_choice(const Field& workers, const std::string& worker) {
    for (const Member& member : workers.value().members) {
        if (member.key != worker) continue;
        for (const Member& key : member.value.members) {
            if (key.key == kChoiceKey) return workers.inner(member).inner(key);
        }
    }
    return std::nullopt;
}

}  // namespace

std::vector<std::string_view> store_key_names() {
    return names_of(kStoreKeys);
}

std::vector<core::StoreSpec> read_stores(const Field& field, const std::string& source,
                                         MinimumStoreSize minimum) {
    std::vector<core::StoreSpec> stores;
    if (!require_table(field, "[store]")) return stores;
    StoreDraft base;
    base.spec.source = source;
    bool has_base = field.value().members.empty();
    for (const Member& member : field.value().members) {
        const Field inner = field.inner(member);
        const std::vector<std::string_view> names = store_key_names();
        const bool is_key = std::find(names.begin(), names.end(), member.key) != names.end();
        if (inner.is(Node::Kind::table) && !is_key) {
            stores.push_back(read_named(inner, source, minimum));
        } else {
            has_base = true;
            read_member(inner, field.path(), kStoreKeys, base);
        }
    }
    if (has_base) {
        check_size(base, field, minimum);
        stores.insert(stores.begin(), std::move(base.spec));
    }
    if (stores.size() > core::kMaxStores) {
        field.refuse("there are more than " + std::to_string(core::kMaxStores) + " stores");
    }
    return stores;
}

void read_store_choice(WorkerDraft& draft, const Field& field) {
    using Kind = core::StoreChoice::Kind;
    core::StoreChoice& choice = draft.spec.launch.store;
    if (field.is(Node::Kind::boolean) && !field.value().boolean) {
        choice = {.kind = Kind::none, .name = {}};
    } else if (field.is(Node::Kind::boolean)) {
        field.refuse_type(std::string(kChoice) + "; the default store is named \"" +
                          core::kDefaultStore + "\"");
    } else if (const auto name = read_text(field, kChoice)) {
        if (!core::is_valid_group_name(*name)) return field.refuse_type(kChoice);
        choice = {.kind = Kind::named, .name = *name};
    }
}

void check_stores(const std::vector<core::WorkerSpec>& specs, const Field& workers,
                  const std::vector<core::StoreSpec>& stores,
                  const std::vector<std::string>& others) {
    std::vector<std::string_view> known{others.begin(), others.end()};
    known.emplace_back(core::kDefaultStore);
    for (const core::StoreSpec& store : stores) known.push_back(store.name);
    for (const core::WorkerSpec& spec : specs) {
        const core::StoreChoice& choice = spec.launch.store;
        if (choice.kind != core::StoreChoice::Kind::named) continue;
        if (std::find(known.begin(), known.end(), choice.name) != known.end()) continue;
        const std::optional<Field> field = find_choice(workers, spec.name);
        if (!field) continue;
        const std::string hint = suggestion(choice.name, known);
        field->refuse("there is no store " + in_quotes(choice.name) +
                      (hint.empty() ? "; describe it below [store." + choice.name + "]" : hint));
    }
}

}  // namespace cluster::conf
