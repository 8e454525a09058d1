/* What a user of libcluster-dev writes first: runs without a daemon, and says so. */
#include <cluster.h>
#include <stdio.h>

int main(void) {
    cluster_store* store = NULL;
    const int result = cluster_store_open(0, &store);
    printf("libcluster %s, no store here: %s\n", cluster_version(), cluster_error_text(result));
    return result < 0 ? 0 : 1;
}
