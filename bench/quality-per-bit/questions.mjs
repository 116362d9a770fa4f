// What a chat model is asked so that its own answers can be had as text: forms of question times topics, in the two
// languages of minimind2-small. Topics of the calibration text and of the held-out text are disjoint.

const FORMS = {
  en: [
    (topic) => `What is ${topic}?`,
    (topic) => `Explain ${topic} to a child.`,
    (topic) => `Give me three facts about ${topic}.`,
    (topic) => `Why does ${topic} matter?`,
  ],
  zh: [
    (topic) => `什么是${topic}?`,
    (topic) => `请简单介绍一下${topic}。`,
    (topic) => `为什么${topic}很重要?`,
    (topic) => `给我三条关于${topic}的建议。`,
  ],
};

const TOPICS = {
  calibration: {
    en: "rain,the moon,sleep,bread,music,the heart,a computer,trade,friendship,the ocean,learning a language,electricity,a library,exercise,photosynthesis,history,a good leader,traffic in cities,winter,recycling",
    zh: "睡眠,月亮,健康饮食,友谊,长城,人工智能,阅读,环境保护,茶文化,时间管理,春节,数学,海洋,运动,音乐,学习英语,电,历史,农业,城市交通",
  },
  heldOut: {
    en: "snow,the sun,dreaming,rice,painting,the brain,a telephone,money,honesty,a river,learning to cook,magnetism,a museum,swimming,evolution,geography,a good teacher,air travel,spring,saving water",
    zh: "气候变化,太阳,早餐,家庭,故宫,互联网,写作,节约用水,书法,压力管理,中秋节,物理,河流,游泳,绘画,学习编程,磁铁,地理,医学,旅行",
  },
};

/** @param part "calibration" or "heldOut" */
export function questions(part) {
  return Object.entries(TOPICS[part]).flatMap(([language, topics]) =>
    topics.split(",").flatMap((topic) => FORMS[language].map((form) => form(topic))),
  );
}
