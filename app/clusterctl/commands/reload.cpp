// clusterctl reload: new runs in place of the old ones, which serve until the new ones have proved
// themselves where the worker's `reload` allows it.
#include "clusterctl/operation.hpp"
#include "clusterctl/verb.hpp"

namespace cluster::clusterctl {
namespace {

class Reload final : public Verb {
public:
    [[nodiscard]] VerbInfo info() const override {
        return {.name = "reload",
                .aliases = {},
                .usage = "[--force] [options] SELECTOR…",
                .summary = "Replace running workers, a few at a time"};
    }
    void declare(OptionSink& options) override {
        options.words("SELECTOR", selectors_, "What to reload: api, api.0, @site, api*, all");
        options.flag("--force", is_forced_, "Instead of a reload that is under way, not after it");
        wait_.declare(options);
    }
    [[nodiscard]] int run(Session& session) override {
        return change_selected(session, selectors_, ctl::request::Reload{selectors_, is_forced_},
                               wait_, Shown{}, "clusterctl reload api");
    }

private:
    std::vector<std::string> selectors_;
    bool is_forced_ = false;
    WaitOptions wait_;
};

}  // namespace

std::unique_ptr<Verb> make_reload() {
    return std::make_unique<Reload>();
}

}  // namespace cluster::clusterctl
