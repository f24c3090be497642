// What scrolls sideways on a narrow screen can be reached by the keyboard; the theme sees to code and outputs only.
(() => {
  const check = () => document.querySelectorAll(".bd-article :is(mjx-container[display], table)").forEach(element => {
    if (element.scrollWidth > element.clientWidth) element.tabIndex = 0;
    else element.removeAttribute("tabindex");
  });
  addEventListener("resize", check);
  addEventListener("load", async () => {
    check();
    await window.MathJax?.startup?.promise;
    check();
  });
})();
