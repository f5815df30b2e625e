// The first script of the page: takes the code out of the address bar before anything else is loaded or shown.

const fragment = location.hash;
if (fragment) history.replaceState(null, "", location.pathname);

import("./page.js")
  .then((page) => page.start(fragment))
  .catch(() => document.getElementById("stuck").classList.add("now")); // it says what to do, in six languages
