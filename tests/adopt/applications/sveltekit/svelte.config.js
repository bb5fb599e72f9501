import adapter from '@sveltejs/adapter-static';

export default {
  kit: {
    adapter: adapter({ fallback: 'index.html' }),
    appDir: "assets/v-" + process.env.VERSION,
  },
};
