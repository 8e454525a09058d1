#include "supervisor/remembered.hpp"

#include <fmt/core.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "ctl/spec_json.hpp"
#include "json/text.hpp"
#include "sys/file.hpp"

namespace cluster::supervisor {
namespace {

using json::Json;

constexpr int kVersion = 1;
/// 4,096 workers of some kilobytes each.
constexpr std::size_t kMaxBytes = std::size_t{64} << 20U;

/// May be absent: a state of an older version has none.
tl::expected<std::vector<core::StoreSpec>, std::string> read_stores(const Json& state) {
    std::vector<core::StoreSpec> stores;
    const Json* const list = state.find("stores");
    if (list == nullptr) return stores;
    if (!list->is_array()) return tl::unexpected(std::string("its stores are no list"));
    for (const Json& entry : list->elements()) {
        auto store = ctl::read_store(entry);
        if (!store) return tl::unexpected(store.error());
        stores.push_back(std::move(*store));
    }
    return stores;
}

tl::expected<RememberedWorker, std::string> read_worker(const Json& entry) {
    const Json* const fields = entry.find("spec");
    const Json* const wanted = entry.find("wanted");
    if (fields == nullptr || wanted == nullptr) {
        return tl::unexpected(std::string("a worker without spec or wanted"));
    }
    auto spec = ctl::read_spec(*fields);
    if (!spec) return tl::unexpected(spec.error());
    RememberedWorker worker{.spec = std::move(*spec), .wanted = {}};
    for (const Json& each : wanted->elements()) worker.wanted.push_back(each.boolean() == true);
    worker.wanted.resize(worker.spec.instances, false);
    return worker;
}

}  // namespace

tl::expected<RememberedState, std::string> parse_remembered(const std::string& text) {
    const Json state = json::parse(text, kRecordBounds).value_or(Json());
    if (state.get("version").integer() != kVersion) {
        return tl::unexpected(fmt::format("not a state file of version {}", kVersion));
    }
    const Json& workers = state.get("workers");
    if (!workers.is_array()) return tl::unexpected(std::string("it lists no workers"));
    auto stores = read_stores(state);
    if (!stores) return tl::unexpected(stores.error());
    RememberedState result;
    result.stores = std::move(*stores);
    if (const Json* const daemon = state.find("daemon")) result.daemon = read_daemon(*daemon);
    for (const Json& entry : workers.elements()) {
        auto worker = read_worker(entry);
        if (!worker) return tl::unexpected(worker.error());
        result.workers.push_back(std::move(*worker));
    }
    return result;
}

tl::expected<RememberedState, std::string> Remembered::load() const {
    const auto text = sys::read_file(path_, kMaxBytes);
    if (!text && text.error().code == ENOENT) return RememberedState{};
    std::string problem = text ? "" : std::strerror(text.error().code);
    if (text) {
        auto state = parse_remembered(*text);
        if (state) return state;
        problem = state.error();
    }
    const std::string aside = path_ + ".bad";
    const bool is_moved = sys::rename_file(path_, aside).has_value();
    return tl::unexpected(
        fmt::format("{}: {}; {}", path_, problem,
                    is_moved ? "moved to " + aside : "it could not be moved aside"));
}

bool Remembered::notice(const core::Fleet& fleet, const std::vector<Slot>& slots) {
    bool is_news = false;
    for (const Slot slot : slots) {
        const core::Place* place = fleet.find(slot);
        Wanted now = Wanted::nothing;
        if (place != nullptr && place->role == core::Role::current) {
            now = place->instance.desired == core::Desired::up ? Wanted::up : Wanted::down;
        }
        if (slot.value >= seen_.size()) seen_.resize(slot.value + 1, Wanted::nothing);
        Wanted& before = seen_[slot.value];
        is_news = is_news || before != now;
        before = now;
    }
    return is_news;
}

Status Remembered::store(const core::Fleet& fleet, const DaemonRecord& daemon) {
    DaemonRecord without_stores = daemon;
    without_stores.stores.clear();
    std::string text = fmt::format("{{\"version\": {}, \"daemon\": {},\n\"stores\": [", kVersion,
                                   render_daemon(without_stores));
    const char* separator = "\n";
    for (const core::StoreSpec& store : daemon.stores) {
        text += separator + ctl::render_store(store);
        separator = ",\n";
    }
    text += "\n], \"workers\": [";
    separator = "\n";
    for (const core::Worker* worker : fleet.workers()) {
        text += separator;
        text += "{\"spec\": " + ctl::render_spec(worker->spec) + ", \"wanted\": [";
        for (std::size_t i = 0; i < worker->slots.size(); ++i) {
            const core::Place* place = fleet.find(worker->slots[i]);
            const bool is_wanted = place != nullptr && place->instance.desired == core::Desired::up;
            text += fmt::format("{}{}", i == 0 ? "" : ", ", is_wanted);
        }
        text += "]}";
        separator = ",\n";
    }
    text += "\n]}\n";
    return sys::replace_file(path_, text, 0600);
}

}  // namespace cluster::supervisor
