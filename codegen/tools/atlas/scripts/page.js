"use strict";

// What is linked to opens; what scrolls can be reached by the keyboard; what is printed is printed whole.
{
  function reveal() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    atlas.showAll(target);
    for (let fold = target.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
    target.scrollIntoView();
  }

  atlas.scrollers = () => {
    for (const box of document.querySelectorAll(".formula, .wide, .signature")) {
      if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  };

  addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("details").forEach((fold) => fold.addEventListener("toggle", atlas.scrollers));
    addEventListener("hashchange", reveal);
    addEventListener("resize", atlas.scrollers);
    addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((fold) => (fold.open = true)));
    reveal();
    atlas.scrollers();
    // The middle of a graph is where most of it is.
    for (const box of document.querySelectorAll(".graph .wide")) box.scrollLeft = (box.scrollWidth - box.clientWidth) / 2;
    document.fonts.ready.then(atlas.scrollers);
  });
}
